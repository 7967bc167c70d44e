"""Texts with the colours of a terminal in them: what is searched is the text without, and what is found there has its
place in the text with them."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.processors.mask_values import Span

# ECMA-48 8.3.117 (SGR), as it is and as JSON, Python and C write its first character.
_COLOUR = re.compile(r"(?:\x1b\[|\x9b|\\{1,15}(?:u001[bB]|x1[bB]|033|e)\[)[0-9;:]{0,40}m")


class Colourless:
    """A text without colours. `text` is the very same where there are none."""

    __slots__ = ("_places", "text")

    def __init__(self, text: str) -> None:
        self._places: list[Span] = []
        self.text = text
        if "\x1b" in text or "\x9b" in text or "\\" in text:
            self._strip(text)

    def _strip(self, text: str) -> None:
        """`_places`: where in the text without, how much was left out up to there."""
        pieces: list[str] = []
        copied = left_out = 0
        for found in _COLOUR.finditer(text):
            start, stop = found.span()
            pieces.append(text[copied:start])
            copied = stop
            left_out += stop - start
            self._places.append((stop - left_out, left_out))
        if self._places:
            self.text = "".join([*pieces, text[copied:]])

    def original(self, spans: list[Span]) -> list[Span]:
        """Spans of `text`, in order and apart, as spans of the text with its colours. Those at the ends stay out."""
        if not self._places:
            return spans
        found: list[Span] = []
        left_out = index = 0
        for start, stop in spans:
            while index < len(self._places) and self._places[index][0] <= start:
                left_out = self._places[index][1]
                index += 1
            begin = start + left_out
            while index < len(self._places) and self._places[index][0] < stop:
                left_out = self._places[index][1]
                index += 1
            found.append((begin, stop + left_out))
        return found
