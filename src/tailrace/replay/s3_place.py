"""Dead letters in a bucket: listing and reading objects by signed requests, without an SDK."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from typing import BinaryIO, cast
from xml.etree import ElementTree

from tailrace.aws.credentials import credentials_source
from tailrace.aws.sigv4 import sha256, signed_headers
from tailrace.config.destinations import DestinationSpec
from tailrace.config.urls import decode, encode
from tailrace.destinations.s3 import address_of
from tailrace.replay.patience import Patience
from tailrace.replay.places import LOCATION, PlaceError, StoredFile
from tailrace.replay.s3_stream import S3Stream

_TIMEOUT_S = 30.0
_PAGE_MAX_PIECES = 10_000  # a page has some hundred kilobytes
_EMPTY = sha256(b"")


class S3Place:
    """The objects below a prefix. A prefix is a folder here: ``s3://bucket/dead`` does not mean ``dead-or-alive/``."""

    def __init__(
        self, spec: DestinationSpec, environ: Mapping[str, str], page_size: int = 1000, patience: Patience | None = None
    ) -> None:
        """Raises `ConfigError` where no region is known, or the environment's endpoint cannot be used."""
        self.name = spec.name
        self._bucket = spec.url.host
        prefix = decode(spec.url.path).strip("/")
        self._prefix = prefix + "/" if prefix else ""
        self._address = address_of(self._bucket, spec.options, environ, LOCATION)
        self._credentials = credentials_source(environ)
        self._page_size = page_size
        self._patience = patience or Patience()

    def files(self) -> Iterator[StoredFile]:
        token = ""
        while True:
            query = [("list-type", "2"), ("max-keys", str(self._page_size)), ("prefix", self._prefix)]
            query += [("continuation-token", token)] if token else []
            page = self._page(query)
            root = _parsed(page, self.name)
            for item in root.iterfind("{*}Contents"):
                key = item.findtext("{*}Key") or ""
                if not key.endswith("/"):
                    yield StoredFile(key, int(item.findtext("{*}Size") or 0))
            token = root.findtext("{*}NextContinuationToken") or ""
            if root.findtext("{*}IsTruncated") != "true" or not token:
                return

    def open(self, file: StoredFile) -> AbstractContextManager[BinaryIO]:
        """Asked for when it is read. Reading raises `PlaceError`."""
        stream = self._stream(f"s3://{self._bucket}/{file.name}", "/" + encode(file.name, "/"), [])
        return cast("AbstractContextManager[BinaryIO]", closing(stream))

    def _page(self, query: list[tuple[str, str]]) -> bytes:
        with closing(self._stream(self.name, "", query)) as stream:
            pieces = [b""]
            while (piece := stream.read()) and len(pieces) < _PAGE_MAX_PIECES:
                pieces.append(piece)
            return b"".join(pieces)

    def _stream(self, name: str, path: str, query: list[tuple[str, str]]) -> S3Stream:
        return S3Stream(name, lambda headers: self._get(path, query, headers), self._patience)

    def _get(self, path: str, query: list[tuple[str, str]], extra: Mapping[str, str]) -> _OpenAnswer:
        """Raises `OSError` and `HTTPException`."""
        address = self._address
        escaped = [(encode(name, ""), encode(value, "")) for name, value in query]
        target = address.base_path + path or "/"
        wall_s = time.time()
        headers = signed_headers(
            "GET", address.host_header, target, escaped, [], _EMPTY, self._credentials(wall_s), address.region, "s3",
            wall_s,
        )  # fmt: skip
        connection = self._connection()
        try:
            text = "&".join(f"{name}={value}" for name, value in escaped)
            connection.putrequest(
                "GET", f"{target}?{text}" if text else target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in [("host", address.host_header), *headers, *extra.items()]:
                connection.putheader(name, value)
            connection.endheaders()
            return _OpenAnswer(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        address = self._address
        if address.tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(address.host, address.port, timeout=_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)


class _OpenAnswer:
    """An answer with the connection that it comes through."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # type: ignore[assignment]  # `get` is all that is asked of it

    def read(self, size: int) -> bytes:
        return self._response.read(size)

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def _parsed(page: bytes, name: str) -> ElementTree.Element:
    try:
        # entities need a document type, and a listing has none
        if b"<!DOCTYPE" in page[:1024]:
            raise ElementTree.ParseError
        return ElementTree.fromstring(page)  # noqa: S314 - see above
    except ElementTree.ParseError:
        raise PlaceError(f"{name} cannot be listed: the answer is no listing of a bucket") from None
