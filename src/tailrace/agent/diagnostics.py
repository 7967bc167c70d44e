"""The agent's own few words on standard output: one JSON object a line, ``"type":"tailrace.log"`` first.

The type is how the worker knows these lines when the platform hands them back as telemetry: they are never shipped.
"""

from __future__ import annotations

import _thread

from tailrace.protocol.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.clock import Clock

    WriteLast = Callable[[bytes, Callable[[], None] | None], None]

LOG_TYPE = "tailrace.log"
REPEAT_AFTER_S = 60.0
MAX_KNOWN = 128
MAX_FIELD_CHARACTERS = 500


class Diagnostics:
    """Says each thing once a minute at most: what is left out in between is counted and said with the next one.

    `write` gets whole lines, `write_last` the last one (else `write`, too). Callable from any thread; never raises.
    Callers hand over constant messages, with what varies in the fields, and no secrets in either.
    """

    __slots__ = ("_clock", "_known", "_lock", "_silent", "_write", "_write_last")

    def __init__(
        self,
        write: Callable[[bytes], None],
        clock: Clock,
        write_last: WriteLast | None = None,
    ) -> None:
        self._write = write
        self._write_last = write_last
        self._clock = clock
        self._lock = _thread.allocate_lock()
        self._known: dict[tuple[str, str], _Said] = {}
        self._silent = False

    def __call__(self, level: str, message: str, **fields: object) -> None:
        """Say `message` (``level`` is ``info``, ``warn`` or ``error``), unless the same was just said."""
        key = (message, str(fields.get("destination", "")))
        with self._lock:
            left_out = self._admit(key)
            if left_out is None or self._silent:
                return
            if left_out:
                fields["alsoSaidSinceTheLastLine"] = left_out
            line: dict[str, object] = {"type": LOG_TYPE, "level": level, "message": message}
            line.update({name: _shortened(value) for name, value in fields.items()})
            self._write(as_line(line))

    def last_line(self, line: dict[str, object], before: Callable[[], None] | None = None) -> None:
        """Write `line`, and nothing after it, whoever else still has something to say. `before` is called right before
        it gets out."""
        with self._lock:
            self._silent = True
            if self._write_last is not None:
                self._write_last(as_line(line), before)
                return
            if before is not None:
                before()
            self._write(as_line(line))

    def _admit(self, key: tuple[str, str]) -> int | None:
        """How often it was left out since it was last said; None: leave it out now, too."""
        now_s = self._clock.monotonic_s()
        said = self._known.get(key)
        if said is not None and now_s - said.at_s < REPEAT_AFTER_S:
            said.left_out += 1
            return None
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = _Said(now_s)
        return said.left_out if said is not None else 0


class _Said:
    __slots__ = ("at_s", "left_out")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.left_out = 0


def _shortened(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(name)[:MAX_FIELD_CHARACTERS]: _shortened(part) for name, part in value.items()}
    text = str(value)
    return text if len(text) <= MAX_FIELD_CHARACTERS else text[: MAX_FIELD_CHARACTERS - 1] + "…"


def as_line(value: dict[str, object]) -> bytes:
    """`value` as one line of JSON, in ASCII."""
    return dumps(value).encode("ascii", "replace") + b"\n"
