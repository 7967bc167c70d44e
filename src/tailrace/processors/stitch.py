"""Putting a record together that the service cut. Pure.

A line larger than a subscription's `maxBytes` comes in parts: its body breaks off in the middle of the text and is
closed with ``}]``, which makes it invalid JSON, and the next body begins with the same ``time`` and ``type`` and goes
on with the text (lambda-platform.md 5.10). A cut may go through an escape or a character, so the parts are joined as
bytes.
"""

from __future__ import annotations

_BEGIN = b'{"time":"'
_TEXT = b'"record":"'
_CLOSED = b"}]"
# More than the platform keeps for a subscriber at all; what grows beyond it is no record.
MAX_BYTES = 8_388_608


class Stitcher:
    """Holds the beginning of one cut record until the next body comes."""

    __slots__ = ("_cut", "_envelope")

    def __init__(self) -> None:
        self._cut = b""
        self._envelope = b""

    @property
    def held_bytes(self) -> int:
        return len(self._cut)

    def join(self, body: bytes) -> tuple[bytes, int]:
        """`body` with what was held put back where it goes on with it; and how many bytes are given up because it does
        not."""
        cut, envelope = self._cut, self._envelope
        self._cut = self._envelope = b""
        if not cut:
            return body, 0
        if body.startswith(b"[" + envelope):
            return b"[" + cut + body[1 + len(envelope) :], 0
        return body, len(cut)

    def hold(self, body: bytes) -> bool:
        """Whether the end of `body`, which is no JSON, is the beginning of a record. It is held then."""
        start = body.rfind(_BEGIN)  # quotes inside a text are escaped: this one is outside
        text = body.find(_TEXT, start)
        is_cut = start >= 0 and text >= 0 and body.endswith(_CLOSED) and body[start - 1 : start] in (b"[", b",")
        if not is_cut or len(body) - start > MAX_BYTES:
            return False
        self._envelope = body[start : text + len(_TEXT)]
        self._cut = body[start : -len(_CLOSED)]
        return True

    def give_up(self) -> int:
        """Nothing more comes: how many bytes were held."""
        n_bytes, self._cut, self._envelope = len(self._cut), b"", b""
        return n_bytes
