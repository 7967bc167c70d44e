"""Answers of the in-sandbox API, before they are tied to an exchange."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.protocol.replies import (
    CONTENT_TYPE,
    JSON,
    NOT_FOUND_BODY,
    NOT_FOUND_HEADERS,
    STATUS_OK_BODY,
    TEXT,
    ApiError,
)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Headers
    body: bytes


def json_reply(status: int, body: bytes, *headers: tuple[str, str]) -> HttpReply:
    return HttpReply(status, ((CONTENT_TYPE, JSON), *headers), body)


def text_reply(status: int, body: bytes) -> HttpReply:
    return HttpReply(status, ((CONTENT_TYPE, TEXT),), body)


def plain_error(status: int, body: bytes) -> HttpReply:
    """An error in plain text, as routes without JSON refuse (as recorded)."""
    return HttpReply(status, NOT_FOUND_HEADERS, body)


def refusal(error: ApiError) -> HttpReply:
    return json_reply(error.status, error.body())


def not_allowed(method: str) -> HttpReply:
    """405 names the method that is (as recorded on AWS's emulator)."""
    return HttpReply(405, (("Allow", method),), b"")


ACCEPTED = json_reply(202, STATUS_OK_BODY)
NOT_FOUND = plain_error(404, NOT_FOUND_BODY)
NOT_THERE = HttpReply(404, (), b"")
"""A whole API that is switched off (as recorded)."""
