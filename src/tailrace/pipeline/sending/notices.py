"""What the user is told about a destination: one line when something begins, none for each record that it costs."""

from __future__ import annotations

# Why records stay, in a failure window's first line.
KEPT = "nothing can be delivered to the destination now; its records are kept and sent again"
NOT_TAKEN = "destination does not take records now; they are kept and sent again"
NOT_ALLOWED = "destination takes nothing until something is set right; its records are kept, the next try is later"
NOT_BUILT = "no request can be made for the destination; its records are kept"
BROKEN = "a fault in the code for the destination stops its records; they are kept"
NO_ANSWER = "destination did not answer in time; its records are kept and nothing waits for it until it answers"
# How far an attempt has come that nobody waits for any longer.
NOT_CONNECTED_YET = "not connected yet"
NO_REPLY_YET = "no reply yet"


# A destination has words of its own: no more lines than that until it takes something, whatever it says.
_MAX_SAID = 32


class Notice:
    """Something the user should be told: arguments for `Diagnostics`."""

    __slots__ = ("fields", "level", "message")

    def __init__(self, level: str, message: str, fields: dict[str, object]) -> None:
        self.level = level
        self.message = message
        self.fields = fields


class Said:
    """What was said about one destination since it took something last."""

    __slots__ = ("_destination", "_keys")

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._keys: set[str] = set()

    def once(self, key: str, level: str, message: str, fields: dict[str, object]) -> list[Notice]:
        """Say it, unless it was said."""
        if key in self._keys or len(self._keys) >= _MAX_SAID:
            return []
        self._keys.add(key)
        return [Notice(level, message, {"destination": self._destination, **fields})]

    def note(self, key: str) -> None:
        """It was said in other words."""
        self._keys.add(key)

    def forget(self) -> None:
        self._keys.clear()
