"""Headers that the user wants on every HTTP delivery. Their values are secrets until proven otherwise."""

from __future__ import annotations


class HttpHeaders:
    """Names and values in the order given. Its repr shows the names only."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self.pairs = pairs

    def __repr__(self) -> str:
        return f"HttpHeaders({', '.join(name for name, _ in self.pairs)})"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(name.lower() == own.lower() for own, _ in self.pairs)

    def with_others(self, others: HttpHeaders) -> HttpHeaders:
        """These and `others`, which win where both have one of the same name."""
        return HttpHeaders((*(pair for pair in self.pairs if pair[0] not in others), *others.pairs))
