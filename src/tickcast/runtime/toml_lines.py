"""Where each key of a TOML document stands; ``tomllib`` tells values only.

The text is one that ``tomllib`` has accepted, so this scanner may be forgiving: it only has to find keys, and not to be
fooled by what looks like one inside strings and comments. A path is a tuple of names and, in arrays, of indices.
"""

import bisect
import re
from typing import Final

Path = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_ESCAPE: Final = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(["\\bfnrt]))')
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every table, key and array element of a valid TOML document."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2, array=True)
            elif self._text[self._at] == "[":
                table = self._header(1, array=False)
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _mark(self, path: Path, at: int) -> None:
        self._lines.setdefault(path, bisect.bisect_left(self._ends, at) + 1)

    def _header(self, brackets: int, *, array: bool) -> Path:
        start = self._at
        self._at += brackets
        names = self._names()
        self._at += brackets
        path: Path = ()
        for name in names[:-1]:
            path = self._newest((*path, name))
            self._mark(path, start)
        path = (*path, names[-1])
        self._mark(path, start)
        if array:
            self._counts[path] = self._counts.get(path, 0) + 1
            path = self._newest(path)
            self._mark(path, start)
        return path

    def _newest(self, path: Path) -> Path:
        count = self._counts.get(path, 0)
        return (*path, count - 1) if count else path

    def _names(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            names.append(self._name())
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _name(self) -> str:
        start = self._at
        if self._text[start] in "\"'":
            self._string()
            inner = self._text[start + 1 : self._at - 1]
            return inner if self._text[start] == "'" else _ESCAPE.sub(_unescape, inner)
        self._skip(_BARE)
        return self._text[start : self._at]

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for name in self._names():
            path = (*path, name)
            self._mark(path, start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_BLANK)
        index = 0
        while self._text[self._at] != "]":
            self._mark((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        self._skip(_BLANK)
        while self._text[self._at] != "}":
            self._pair(path)
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        fence = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(fence)
        while not self._text.startswith(fence, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(fence)
        if len(fence) == 3:  # up to two quotes may stand before the closing three
            while self._text.startswith(quote, self._at):
                self._at += 1


def _unescape(match: re.Match[str]) -> str:
    short, long, letter = match.groups()
    return _ESCAPED[letter] if letter else chr(int(short or long, 16))
