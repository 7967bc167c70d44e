"""Secrets in the URLs of destinations, as they stand in a variable: what stands before an ``@``, the values of a query
that are no words of ours, and segments of a path that look like keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tailrace.config.urls import looks_like_token
from tailrace.destinations.registry import SCHEMES

Span = tuple[int, int]

# Slashes are easily mistyped; what follows is what was meant.
_URL = re.compile(rf"(?<![\w+.:-])({'|'.join(SCHEMES)}):([/\\]*)(\S*)", re.IGNORECASE)
_TELLING_CHARS = 16


def spans_in(text: str) -> list[Span]:
    """Where in `text` secrets of URLs stand, in order and apart."""
    return [span for url in _URL.finditer(text) for span in _of_url(url)]


def telling(secret: str) -> bool:
    """Whether a secret can be known again elsewhere: a short or plain one could be any word."""
    return len(secret) >= _TELLING_CHARS or looks_like_token(secret)


def _of_url(url: re.Match[str]) -> Iterator[Span]:
    start, rest = url.start(3), url[3]
    before_query, question, query = rest.partition("?")
    at = rest.rfind("@") if "@" in query and ":" in before_query else before_query.rfind("@")
    if at > 0:
        yield start, start + at
    path_start = max(at + 1, 0)
    if SCHEMES[url[1].lower()].secret_path:
        for segment in re.finditer(r"[^/]+", before_query[path_start:]):
            if looks_like_token(segment[0]):
                yield start + path_start + segment.start(), start + path_start + segment.end()
    if question:
        yield from _of_query(url[1].lower(), rest, start, max(len(before_query) + 1, path_start))


def _of_query(scheme: str, rest: str, start: int, begin: int) -> Iterator[Span]:
    for item in re.finditer(r"[^&]+", rest[begin:]):
        key, equals, value = item[0].partition("=")
        check = SCHEMES[scheme].keys.get(key)
        if check is not None and check(value) is None:
            continue
        stop = start + begin + item.end()
        secret_start = stop - len(value) if equals and not looks_like_token(key) else start + begin + item.start()
        if secret_start < stop:
            yield secret_start, stop
