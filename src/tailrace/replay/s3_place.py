"""Dead letters in a bucket: listing and reading objects by signed requests, without an SDK."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, cast
from xml.etree import ElementTree

from tailrace.aws.credentials import credentials_source
from tailrace.aws.sigv4 import sha256, signed_headers
from tailrace.config.destinations import DestinationSpec
from tailrace.config.urls import decode, encode
from tailrace.destinations._s3_replies import xml_text
from tailrace.destinations.s3 import address_of
from tailrace.replay.places import LOCATION, PlaceError, StoredFile

_TIMEOUT_S = 30.0
_PAGE_MAX_BYTES = 16 * 1024 * 1024
_EMPTY = sha256(b"")
_REMEDIES = {
    "AccessDenied": "whoever replays needs s3:ListBucket and s3:GetObject there",
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "the object is gone",
    "InvalidAccessKeyId": "the AWS_ACCESS_KEY_ID is not known there",
    "SignatureDoesNotMatch": "the AWS_SECRET_ACCESS_KEY is wrong",
    "ExpiredToken": "the credentials have expired",
    "PermanentRedirect": "the bucket is in another region; add ?region=... to the URL",
    "AuthorizationHeaderMalformed": "the bucket is in another region; add ?region=... to the URL",
}


class S3Place:
    """The objects below a prefix. A prefix is a folder here: ``s3://bucket/dead`` does not mean ``dead-or-alive/``."""

    def __init__(self, spec: DestinationSpec, environ: Mapping[str, str], page_size: int = 1000) -> None:
        """Raises `ConfigError` where no region is known, or the environment's endpoint cannot be used."""
        self.name = spec.name
        self._bucket = spec.url.host
        prefix = decode(spec.url.path).strip("/")
        self._prefix = prefix + "/" if prefix else ""
        self._address = address_of(self._bucket, spec.options, environ, LOCATION)
        self._credentials = credentials_source(environ)
        self._page_size = page_size

    def files(self) -> Iterator[StoredFile]:
        token = ""
        while True:
            query = [("list-type", "2"), ("max-keys", str(self._page_size)), ("prefix", self._prefix)]
            query += [("continuation-token", token)] if token else []
            with self._get("", query) as body:
                page = body.read(_PAGE_MAX_BYTES)
            root = _parsed(page, self.name)
            for item in root.iterfind("{*}Contents"):
                key = item.findtext("{*}Key") or ""
                if not key.endswith("/"):
                    yield StoredFile(key, int(item.findtext("{*}Size") or 0))
            token = root.findtext("{*}NextContinuationToken") or ""
            if root.findtext("{*}IsTruncated") != "true" or not token:
                return

    def open(self, file: StoredFile) -> AbstractContextManager[BinaryIO]:
        return self._get("/" + encode(file.name, "/"), [])

    @contextmanager
    def _get(self, path: str, query: list[tuple[str, str]]) -> Iterator[BinaryIO]:
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
            for name, value in [("host", address.host_header), *headers]:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            if response.status != 200:
                raise self._refused(response)
            yield cast(BinaryIO, response)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise PlaceError(f"{self.name} cannot be read: {str(reason).lower()}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        address = self._address
        if address.tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(address.host, address.port, timeout=_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)

    def _refused(self, response: http.client.HTTPResponse) -> PlaceError:
        code = xml_text(response.read(65_536), "Code")
        said = f"status {response.status}{' ' + code if code else ''}"
        remedy = _REMEDIES.get(code, "")
        return PlaceError(f"{self.name} cannot be read: {said}" + (f"; {remedy}" if remedy else ""))


def _parsed(page: bytes, name: str) -> ElementTree.Element:
    try:
        # entities need a document type, and a listing has none
        if b"<!DOCTYPE" in page[:1024]:
            raise ElementTree.ParseError
        return ElementTree.fromstring(page)  # noqa: S314 - see above
    except ElementTree.ParseError:
        raise PlaceError(f"{name} cannot be listed: the answer is no listing of a bucket") from None
