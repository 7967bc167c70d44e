"""Reading an answer of S3 to its end, whatever becomes of the connection."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Mapping
from typing import Protocol

from tailrace.destinations._s3_replies import xml_text
from tailrace.replay.patience import MAX_ATTEMPTS, Patience
from tailrace.replay.places import PlaceError

_CHUNK_BYTES = 256 * 1024
_PASSING_CODES = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling")
_REMEDIES = {
    "AccessDenied": "whoever replays needs s3:ListBucket and s3:GetObject there",
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "the object is gone",
    "InvalidAccessKeyId": "the AWS_ACCESS_KEY_ID is not known there",
    "SignatureDoesNotMatch": "the AWS_SECRET_ACCESS_KEY is wrong",
    "ExpiredToken": "the credentials have expired",
    "PermanentRedirect": "the bucket is in another region; add ?region=... to the URL",
    "AuthorizationHeaderMalformed": "the bucket is in another region; add ?region=... to the URL",
    "PreconditionFailed": "the object was replaced while it was read; run the same command again",
}


class Answer(Protocol):
    """One answer to a GET, with its connection."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def read(self, size: int) -> bytes:
        """At most so many bytes. Raises `OSError` or `HTTPException`."""

    def close(self) -> None: ...


class _PassingError(Exception):
    """May be over at the next attempt."""


class S3Stream(io.RawIOBase):
    """The bytes of what `get` fetches. After what may pass it is asked for again, from where it stopped: `get` takes
    headers for that, and raises `OSError` or `HTTPException`. `name` says what is read. Reading raises `PlaceError`."""

    def __init__(self, name: str, get: Callable[[Mapping[str, str]], Answer], patience: Patience) -> None:
        self._name = name
        self._get = get
        self._patience = patience
        self._answer: Answer | None = None
        self._n_read = 0
        self._total: int | None = None
        self._tag = ""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, empty at the end."""
        attempt = 1
        while True:
            try:
                data = self._read(size if size >= 0 else _CHUNK_BYTES)
                self._n_read += len(data)
                return data
            except (OSError, http.client.HTTPException, _PassingError) as error:
                self._hang_up()
                failure = f"{self._name} cannot be read{self._so_far()}: {_reason(error)}"
                if attempt == MAX_ATTEMPTS:
                    raise PlaceError(failure) from None
            self._patience.wait(attempt, failure)
            attempt += 1

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._total is not None and self._n_read >= self._total:
            return b""
        if self._answer is None:
            self._answer = self._open()
        data = self._answer.read(size)
        if not data and self._total is not None and self._n_read < self._total:
            raise _PassingError("the connection was cut")
        return data

    def _open(self) -> Answer:
        """The answer, at where reading goes on."""
        wanted = {"Range": f"bytes={self._n_read}-", "If-Match": self._tag} if self._n_read else {}
        answer = self._answer = self._get({name: value for name, value in wanted.items() if value})
        if answer.status not in (200, 206):
            raise self._refused(answer)
        length = answer.headers.get("Content-Length", "")
        left = int(length) if length.isdigit() else None
        passed = self._n_read if answer.status == 206 else 0
        if left is not None:
            self._total = passed + left
        self._tag = answer.headers.get("ETag", "")
        while passed < self._n_read:  # it does not know ranges
            data = answer.read(min(_CHUNK_BYTES, self._n_read - passed))
            if not data:
                raise _PassingError("the connection was cut")
            passed += len(data)
        return answer

    def _refused(self, answer: Answer) -> Exception:
        code = xml_text(answer.read(65_536), "Code")
        said = f"status {answer.status}{' ' + code if code else ''}"
        if answer.status == 429 or (answer.status >= 500 and answer.status != 501) or code in _PASSING_CODES:
            return _PassingError(said)
        remedy = _REMEDIES.get(code or ("PreconditionFailed" if answer.status == 412 else ""), "")
        found = f"{self._name} cannot be read{self._so_far()}: {said}"
        return PlaceError(f"{found}; {remedy}" if remedy else found)

    def _so_far(self) -> str:
        if not self._n_read:
            return ""
        return f" to its end ({self._n_read} of {self._total if self._total is not None else '?'} bytes were read)"

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut"
    if isinstance(error, _PassingError):
        return str(error)
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
