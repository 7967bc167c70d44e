"""Letters that wait to be written, and the one posting that is on its way. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.dead_letters.envelope import Letter

# Letters of one trouble come in a burst: they share a request.
LINGER_S = 0.1
# At the end a request that is not answered in time costs all that is in it.
END_POSTING_BYTES = 1_048_576


class Posting:
    """Letters of one environment that leave in one request. `number` is the first letter's among all of this process;
    with `sealed_s` (seconds since 1970) it never changes, so sending again replaces the object by its equal."""

    __slots__ = ("attempts", "letters", "lines", "number", "sealed_s")

    def __init__(self, letters: list[Letter], number: int, sealed_s: float) -> None:
        self.letters = letters
        self.number = number
        self.sealed_s = sealed_s
        self.lines: list[bytes] | None = None
        self.attempts = 0


class LetterBox:
    """Bounded in bytes of records, what is on its way included. A single letter of any size fits into an empty box."""

    __slots__ = (
        "_due_s",
        "_is_ending",
        "_max_bytes",
        "_next_number",
        "_posting_max_bytes",
        "_waiting",
        "held_bytes",
        "posting",
    )

    def __init__(self, max_bytes: int, posting_max_bytes: int) -> None:
        self._max_bytes = max_bytes
        # a line of JSON in a line of JSON: quotes are escaped
        self._posting_max_bytes = posting_max_bytes // 2
        self._waiting: list[Letter] = []
        self._next_number = 1
        self._due_s = 0.0
        self._is_ending = False
        self.posting: Posting | None = None
        self.held_bytes = 0

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._waiting) or self.posting is not None

    def has_room(self, n_bytes: int) -> bool:
        """Whether a letter of that size would be taken."""
        return not self.held_bytes or self.held_bytes + n_bytes <= self._max_bytes

    def put(self, letter: Letter, now_s: float) -> bool:
        """Whether there was room."""
        if not self._is_ending and not self.has_room(letter.n_bytes):
            return False
        if not self._waiting and self.posting is None and not self._is_ending:
            self._due_s = now_s + LINGER_S
        self.held_bytes += letter.n_bytes
        self._waiting.append(letter)
        return True

    def end(self) -> None:
        """Nothing lingers any more, and no pause is kept. What senders cannot keep any longer is taken without a bound:
        it lay in their memory, which is bounded."""
        self._due_s = 0.0
        self._is_ending = True
        self._posting_max_bytes = min(self._posting_max_bytes, END_POSTING_BYTES)

    def wants(self, n_bytes: int) -> bool:
        """Whether more, of that size, should be read from disk now: as much as one request carries is enough."""
        most_bytes = min(self._max_bytes, self._posting_max_bytes)
        return self.posting is None and (not self.held_bytes or self.held_bytes + n_bytes <= most_bytes)

    def next_posting(self, now_s: float, wall_s: float) -> tuple[Posting | None, float | None]:
        """What to send now, or else when to ask again (None: when something has changed)."""
        if not self:
            return None, None
        if now_s < self._due_s:
            return None, self._due_s
        if self.posting is None:
            self.posting = self._seal(wall_s)
        self.posting.attempts += 1
        return self.posting, None

    def postpone(self, until_s: float) -> None:
        """The posting was not taken; it goes out again at `until_s`."""
        self._due_s = until_s

    def done(self, now_s: float) -> list[Letter]:
        """The posting has its outcome; the letters of it."""
        posting, self.posting = self.posting, None
        assert posting is not None
        self.held_bytes -= sum(letter.n_bytes for letter in posting.letters)
        self._due_s = now_s
        return posting.letters

    def empty(self) -> list[Letter]:
        """Everything that is in it, which is nobody's then."""
        letters = [*(self.posting.letters if self.posting is not None else ()), *self._waiting]
        self.posting = None
        self._waiting = []
        self.held_bytes = 0
        return letters

    def _seal(self, wall_s: float) -> Posting:
        """The first letters, as many as fit; of one environment, whose name the object bears."""
        n, n_bytes = 0, 0
        first = self._waiting[0]
        for letter in self._waiting:
            n_bytes += letter.n_bytes
            if n and (n_bytes > self._posting_max_bytes or letter.environment_id != first.environment_id):
                break
            n += 1
        posting = Posting(self._waiting[:n], self._next_number, wall_s)
        del self._waiting[:n]
        self._next_number += n
        return posting
