"""Keys and values of TOML, one character after the other."""

from __future__ import annotations

from tailrace.errors import TailraceError

DIGITS = frozenset("0123456789")
BARE = DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
MAX_DEPTH = 100
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_WORDS = {"true": True, "false": False}
_NUMBER = BARE | frozenset("+.:")
_BASES = {"0x": (16, frozenset("0123456789abcdefABCDEF")), "0o": (8, frozenset("01234567")), "0b": (2, frozenset("01"))}


class TomlError(TailraceError):
    """The text is no TOML. `str()` names what, the line and the column, and shows no value."""


class DateText(str):
    """A date or a time, as it was written."""

    __slots__ = ()


class Values:
    """A cursor over the text. `value` and `key` begin at it and leave it behind what they read."""

    __slots__ = ("index", "text")

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.index = 0

    def error(self, found: str, place: int | None = None) -> TomlError:
        before = self.text[: self.index if place is None else place]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return TomlError(f"{found} (at line {line}, column {column})")

    def at_end(self) -> bool:
        return self.index >= len(self.text)

    def peek(self) -> str:
        """The next character, empty at the end."""
        return self.text[self.index : self.index + 1]

    def skip_blanks(self) -> None:
        while self.peek() in (" ", "\t"):
            self.index += 1

    def expect(self, sign: str) -> None:
        """`sign`, with blanks before it."""
        self.skip_blanks()
        if not self.text.startswith(sign, self.index):
            raise self.error(f'"{sign}" is missing')
        self.index += len(sign)

    def end_line(self) -> None:
        """Nothing more but a comment."""
        self.skip_blanks()
        self._skip_comment()
        if not self.at_end():
            if self.peek() != "\n":
                raise self.error("the line does not end where it should")
            self.index += 1

    def _skip_comment(self) -> None:
        if self.peek() == "#":
            while self.peek() not in ("", "\n"):
                self._refuse_control(self.peek())
                self.index += 1

    def _skip_lines(self) -> None:
        """Blanks, ends of lines and comments."""
        while self.peek() in (" ", "\t", "\n", "#") and not self.at_end():
            if self.peek() == "#":
                self._skip_comment()
            else:
                self.index += 1

    def key(self) -> list[str]:
        """A key, in its parts where it has dots."""
        parts = [self._part()]
        self.skip_blanks()
        while self.peek() == ".":
            self.index += 1
            self.skip_blanks()
            parts.append(self._part())
            self.skip_blanks()
        return parts

    def _part(self) -> str:
        sign = self.peek()
        if sign == '"':
            return self._basic()
        if sign == "'":
            return self._literal()
        return self._run(BARE) or self._fail("a key is missing")

    def _fail(self, found: str) -> str:
        raise self.error(found)

    def _run(self, allowed: frozenset[str]) -> str:
        start = self.index
        while self.peek() in allowed and not self.at_end():
            self.index += 1
        return self.text[start : self.index]

    def value(self, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise self.error("it is nested too deeply")
        sign = self.peek()
        if sign == '"':
            return self._long('"""') if self.text.startswith('"""', self.index) else self._basic()
        if sign == "'":
            return self._long("'''") if self.text.startswith("'''", self.index) else self._literal()
        if sign == "[":
            return self._array(depth)
        if sign == "{":
            return self._inline_table(depth)
        return self._word()

    def _array(self, depth: int) -> list[object]:
        self.index += 1
        items: list[object] = []
        self._skip_lines()
        while self.peek() != "]":
            items.append(self.value(depth + 1))
            self._skip_lines()
            if self.peek() == ",":
                self.index += 1
                self._skip_lines()
            elif self.peek() != "]":
                raise self.error("a list does not end")
        self.index += 1
        return items

    def _inline_table(self, depth: int) -> dict[str, object]:
        self.index += 1
        table: dict[str, object] = {}
        dotted: set[int] = set()
        self.skip_blanks()
        while self.peek() != "}":
            place = self.index
            path = self.key()
            self.expect("=")
            self.skip_blanks()
            inner = table
            for part in path[:-1]:
                if part not in inner:
                    inner[part] = {}
                    dotted.add(id(inner[part]))
                below = inner[part]
                if not isinstance(below, dict) or id(below) not in dotted:
                    raise self.error("a key stands twice", place)
                inner = below
            if path[-1] in inner:
                raise self.error("a key stands twice", place)
            inner[path[-1]] = self.value(depth + 1)
            self.skip_blanks()
            if self.peek() == ",":
                self.index += 1
                self.skip_blanks()
                if self.peek() == "}":
                    raise self.error("a comma stands before the end of a table")
            elif self.peek() != "}":
                raise self.error("a table on one line does not end")
        self.index += 1
        return table

    def _basic(self) -> str:
        self.index += 1
        pieces: list[str] = []
        while (sign := self.peek()) != '"':
            if sign in ("", "\n"):
                raise self.error("a text does not end on its line")
            pieces.append(self._escape() if sign == "\\" else self._plain(sign))
        self.index += 1
        return "".join(pieces)

    def _literal(self) -> str:
        end = self.text.find("'", self.index + 1)
        content = self.text[self.index + 1 : end]
        if end < 0 or "\n" in content:
            raise self.error("a text does not end on its line")
        for sign in content:
            self._refuse_control(sign)
        self.index = end + 1
        return content

    def _long(self, quotes: str) -> str:
        """A text over several lines; a line break right behind its opening does not count."""
        self.index += 3
        if self.peek() == "\n":
            self.index += 1
        pieces: list[str] = []
        while not self.text.startswith(quotes, self.index):
            sign = self.peek()
            if not sign:
                raise self.error("a text does not end")
            if sign == "\\" and quotes == '"""':
                pieces.append(self._escape_unless_continued())
            elif sign == "\n":
                pieces.append(sign)
                self.index += 1
            else:
                pieces.append(self._plain(sign))
        self.index += 3
        for _ in range(2):  # one or two quotes may stand before the closing ones
            if self.peek() == quotes[0]:
                pieces.append(quotes[0])
                self.index += 1
        return "".join(pieces)

    def _escape_unless_continued(self) -> str:
        """A backslash at the end of a line takes away all blanks and line breaks behind it."""
        rest = self.index + 1
        while self.text[rest : rest + 1] in (" ", "\t"):
            rest += 1
        if self.text[rest : rest + 1] != "\n":
            return self._escape()
        while self.text[rest : rest + 1] in (" ", "\t", "\n") and rest < len(self.text):
            rest += 1
        self.index = rest
        return ""

    def _plain(self, sign: str) -> str:
        self._refuse_control(sign)
        self.index += 1
        return sign

    def _refuse_control(self, sign: str) -> None:
        if (sign < " " and sign != "\t") or sign == "\x7f":
            raise self.error("a control character stands in a text or comment")

    def _escape(self) -> str:
        kind = self.text[self.index + 1 : self.index + 2]
        if kind in _ESCAPES:
            self.index += 2
            return _ESCAPES[kind]
        n_digits = {"u": 4, "U": 8}.get(kind, 0)
        digits = self.text[self.index + 2 : self.index + 2 + n_digits]
        if not n_digits or len(digits) < n_digits or not _BASES["0x"][1].issuperset(digits):
            raise self.error("an escape that does not exist")
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise self.error("an escape that is no character")
        self.index += 2 + n_digits
        return chr(code)

    def _word(self) -> object:
        place = self.index
        word = self._run(_NUMBER)
        if word in _WORDS:
            return _WORDS[word]
        whole = _integer(word)
        if whole is not None:
            return whole
        decimal = _float(word)
        if decimal is not None:
            return decimal
        if len(word) > 4 and word[0] in DIGITS and ("-" in word[4:5] or ":" in word[2:3]):
            if self.peek() == " " and self.text[self.index + 1 : self.index + 2] in DIGITS:
                self.index += 1
                word += " " + self._run(_NUMBER)
            return DateText(word)
        raise self.error("a value is missing" if not word else "a value that is neither a text nor a number", place)


def _integer(word: str) -> int | None:
    base = _BASES.get(word[:2])
    if base is not None:
        digits = _digits(word[2:], base[1])
        return int(digits, base[0]) if digits else None
    digits = _digits(word[1:] if word[:1] in ("+", "-") else word, DIGITS)
    if not digits or (digits[0] == "0" and len(digits) > 1) or len(digits) > 4000:
        return None
    return -int(digits) if word[0] == "-" else int(digits)


def _digits(word: str, allowed: frozenset[str]) -> str:
    """The digits without underscores between them; nothing where it is no number."""
    parts = word.split("_")
    return "".join(parts) if all(part and allowed.issuperset(part) for part in parts) else ""


def _float(word: str) -> float | None:
    bare = word[1:] if word[:1] in ("+", "-") else word
    if bare in ("inf", "nan"):
        return float(word)
    mantissa, e, exponent = bare.replace("E", "e").partition("e")
    whole, dot, fraction = mantissa.partition(".")
    whole_digits, fraction_digits = _digits(whole, DIGITS), _digits(fraction, DIGITS)
    exponent_digits = _digits(exponent[1:] if exponent[:1] in ("+", "-") else exponent, DIGITS)
    is_float = bool(whole_digits) and (dot or e) and bool(fraction_digits or not dot) and bool(exponent_digits or not e)
    if not is_float or (whole_digits[0] == "0" and len(whole_digits) > 1):
        return None
    return float(word.replace("_", ""))
