"""TOML 1.0, read without `tomllib`: that one brings `re`, `typing` and `datetime` along, which costs the agent 3 MB.

Dates and times are left as the text that they are: no setting has one.
"""

from __future__ import annotations

from tailrace.config.toml_values import TomlError, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["TomlError", "loads"]


def loads(text: str) -> dict[str, object]:
    """The document. Raises `TomlError`, whose text names the line and column and no value."""
    return _Document(text).read()


class _Document(Values):
    """Tables and keys. `_kinds` remembers by identity how a container came to be: that decides who may add to it.

    implicit: named on the way to another table; explicit: by a header of its own; dotted: by dots in a key of the
    table that is open; closed: by dots, and that table is not open any more; rows: an array of tables. Arrays and
    tables that are values are not there at all: nobody adds to them.
    """

    __slots__ = ("_dotted", "_kinds", "_root", "_table")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._root: dict[str, object] = {}
        self._table = self._root
        self._kinds: dict[int, str] = {id(self._root): "implicit"}
        self._dotted: list[int] = []

    def read(self) -> dict[str, object]:
        while True:
            self.skip_blanks()
            if self.at_end():
                return self._root
            if self.text[self.index] == "[":
                self._header()
            elif self.text[self.index] not in "#\n":
                self._member()
            self.end_line()

    def _header(self) -> None:
        is_row = self.text.startswith("[[", self.index)
        self.index += 2 if is_row else 1
        self.skip_blanks()
        place = self.index
        path = self.key()
        self.expect("]]" if is_row else "]")
        for number in self._dotted:
            self._kinds[number] = "closed"
        self._dotted = []
        table = self._root
        for part in path[:-1]:
            table = self._step(table, part, place)
        self._table = self._new_row(table, path[-1], place) if is_row else self._new_table(table, path[-1], place)

    def _step(self, table: dict[str, object], part: str, place: int) -> dict[str, object]:
        """Down one level of a header's path."""
        inner: Any = table.get(part)
        if inner is None:
            inner = table[part] = {}
            self._kinds[id(inner)] = "implicit"
        elif isinstance(inner, list) and id(inner) in self._kinds:
            inner = inner[-1]
        if id(inner) not in self._kinds:
            raise self.error("a table cannot be added to a value", place)
        return inner  # type: ignore[no-any-return]  # what has a kind is a table, and rows were stepped into

    def _new_table(self, table: dict[str, object], name: str, place: int) -> dict[str, object]:
        inner: Any = table.get(name)
        if inner is None:
            inner = table[name] = {}
        elif self._kinds.get(id(inner)) != "implicit":
            raise self.error("a table or key stands twice", place)
        self._kinds[id(inner)] = "explicit"
        return inner  # type: ignore[no-any-return]

    def _new_row(self, table: dict[str, object], name: str, place: int) -> dict[str, object]:
        rows: Any = table.get(name)
        if rows is None:
            rows = table[name] = []
            self._kinds[id(rows)] = "rows"
        elif self._kinds.get(id(rows)) != "rows":
            raise self.error("a table or key stands twice", place)
        row: dict[str, object] = {}
        self._kinds[id(row)] = "explicit"
        rows.append(row)
        return row

    def _member(self) -> None:
        place = self.index
        path = self.key()
        self.expect("=")
        self.skip_blanks()
        table = self._table
        for part in path[:-1]:
            inner: Any = table.get(part)
            if inner is None:
                inner = table[part] = {}
                self._kinds[id(inner)] = "dotted"
                self._dotted.append(id(inner))
            elif self._kinds.get(id(inner)) not in ("dotted", "implicit"):
                raise self.error("a table or key stands twice", place)
            elif self._kinds[id(inner)] == "implicit":
                self._kinds[id(inner)] = "dotted"
                self._dotted.append(id(inner))
            table = inner
        if path[-1] in table:
            raise self.error("a table or key stands twice", place)
        table[path[-1]] = self.value(0)
