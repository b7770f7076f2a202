"""What a recording holds: its frames read by the venue's dialect in Python, to know before the first record is told.

The core decodes; here it is only looked up which instruments have a book, a stream of quotes of their own, or neither,
and on which connection. Paths are those of :mod:`tickcast.venues.declared.dialect`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tickcast import _native
from tickcast.venues.declared.dialect import Binding, Book, Dialect, Key, Match, Measures, Message, Quotes

Name = tuple[str, str]
"""Market and the venue's name."""


@dataclass(slots=True)
class Held:
    """What one connection brings."""

    first_ns: int = 0
    last_ns: int = 0
    seen: set[Name] = field(default_factory=set)
    """All instruments that frames name."""
    books: set[Name] = field(default_factory=set)
    begun: set[Name] = field(default_factory=set)
    """Of these, such that are told whole; all whose beginning comes over REST."""
    quotes: set[Name] = field(default_factory=set)
    """Of a stream that tells nothing else: tickers that have the best bid and offer too are slower than the book."""

    def clashes(self, other: "Held") -> bool:
        """Say whether both carry a book at the same time."""
        overlap = self.first_ns <= other.last_ns and other.first_ns <= self.last_ns
        return overlap and bool(self.books & other.books)


class Shapes:
    """Classifies the frames of a recording."""

    def __init__(self, dialect: Dialect, *, learn: Callable[[bytes], None] | None = None) -> None:
        """``learn`` is shown every frame that the dialect does not declare."""
        self._messages = dialect.messages
        self._binding = dialect.binding
        self._bound: dict[tuple[str, str], Any] = {}
        """Events by connection and the number that they bound."""
        self._unpacked_max = dialect.unpacked_max if dialect.packing else 0
        self._learn = learn
        self._channels: dict[Name, dict[str, bool]] = {}
        """Of each book, the channels that begin it, and whether they tell differences."""
        self.repeats: set[tuple[Name, str]] = set()
        """Books that come by several channels, of other depths or paces: all of them but one."""
        self.held: dict[str, Held] = {}

    def add(self, conn: str, market: str, frame: bytes, ts_ns: int) -> None:
        """Look at a frame; what is no JSON says nothing."""
        held = self.held.setdefault(conn, Held(first_ns=ts_ns))
        held.last_ns = max(held.last_ns, ts_ns)
        frame, found = self._read(frame)
        if found is None:
            return
        event = self._event_of(conn, found)
        message = self._message_of(found, event)
        if message is not None and message.emits:
            self._take(held, message, message.market or market, (found, event))
        elif message is None:
            self._bind(conn, found)
            if self._learn is not None:
                self._learn(frame)

    def choose(self) -> None:
        """Of the channels of each book, choose the first that tells differences, or the first."""
        for name, channels in self._channels.items():
            chosen = next((channel for channel, has_differences in channels.items() if has_differences), None)
            chosen = chosen or next(iter(channels))
            self.repeats |= {(name, channel) for channel in channels if channel != chosen}

    def is_repeat(self, conn: str, market: str, frame: bytes) -> bool:
        """Say whether a frame tells a book that another channel tells already."""
        _, found = self._read(frame)
        if found is None:
            return False
        event = self._event_of(conn, found)
        message = self._message_of(found, event)
        if message is None or not any(isinstance(emit, Book) for emit in message.emits):
            return False
        channel = channel_of(found, message, event, self._binding)
        return any(
            ((message.market or market, name_of(found, row, emit.key, event)), channel) in self.repeats
            for row in rows_of(found, message.rows)
            for emit in message.emits
        )

    def _read(self, frame: bytes) -> tuple[bytes, Any]:
        """Return a frame, unpacked, and what it says; None: it is no JSON, or damaged."""
        try:
            if self._unpacked_max:
                frame = _native.unpack_frame(frame, self._unpacked_max)
            return frame, msgspec.json.decode(frame)
        except (ValueError, RecursionError):  # msgspec's errors and those of UTF-8 are ValueErrors
            return frame, None

    def _message_of(self, frame: Any, event: Any) -> Message | None:
        return next((each for each in self._messages if all(fits(frame, match, event) for match in each.when)), None)

    def _event_of(self, conn: str, frame: Any) -> Any:
        """Return the event that bound a frame's number, or what stands in the number's place; None: nothing did."""
        if self._binding is None or not isinstance(frame, list):
            return None
        found = at(frame, self._binding.path)
        return found if isinstance(found, dict) else self._bound.get((conn, text_at(frame, self._binding.path)))

    def _bind(self, conn: str, frame: Any) -> None:
        binding = self._binding
        if binding is not None and all(fits(frame, match) for match in binding.when):
            self._bound[conn, text_at(frame, binding.number)] = frame

    def _take(self, held: Held, message: Message, market: str, told: tuple[Any, Any]) -> None:
        frame, event = told
        pure = not any(isinstance(emit, Measures) for emit in message.emits)
        channel = channel_of(frame, message, event, self._binding)
        for emit in message.emits:
            if isinstance(emit, Book) and emit.empty is not None and is_whole(frame, (frame, frame), emit):
                self._begin(held, (market, name_of(frame, (frame, frame), emit.empty, event)), channel, emit)
        for row in rows_of(frame, message.rows):
            for emit in message.emits:
                native = name_of(frame, row, emit.key, event)
                if not native:
                    continue
                held.seen.add((market, native))
                if isinstance(emit, Book):
                    held.books.add((market, native))
                    if emit.rule.snapshot in {"rest", "every"} or is_whole(frame, row, emit):
                        self._begin(held, (market, native), channel, emit)
                elif isinstance(emit, Quotes) and pure:
                    held.quotes.add((market, native))

    def _begin(self, held: Held, name: Name, channel: str, book: Book) -> None:
        """A message begins a book, or each of its kind does."""
        if name[1]:
            held.books.add(name)
            held.begun.add(name)
            self._channels.setdefault(name, {}).setdefault(channel, book.rule.snapshot != "every")


def at(value: Any, path: str) -> Any:
    """Return what stands at a path; None if nothing does."""
    for part in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.lstrip("-").isdigit():
            position = int(part)
            value = value[position] if -len(value) <= position < len(value) else None
        else:
            return None
    return value


def text_at(value: Any, path: str) -> str:
    """Return the text at a path; numbers and words as JSON writes them."""
    found = at(value, path)
    if found is None or isinstance(found, dict | list):
        return "" if found is None else "[]"
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()


def fits(frame: Any, match: Match, event: Any = None) -> bool:
    """Say whether a condition on a frame holds; ``event``: what bound its number."""
    source = event if match.path.startswith("@") else frame
    text = text_at(source, match.path.lstrip("/@"))
    if match.present is not None and (text != "") != match.present:
        return False
    if match.equals and text not in match.equals:
        return False
    return text.startswith(match.prefix) and text.endswith(match.suffix)


def channel_of(frame: Any, message: Message, event: Any = None, binding: Binding | None = None) -> str:
    """Return the channel's text: what first tells the message apart, or what was subscribed to, without its number."""
    if isinstance(event, dict):
        number = "" if binding is None else binding.number
        return str(sorted((key, str(value)) for key, value in event.items() if key != number))
    return text_at(frame, message.when[0].path.lstrip("/"))


def is_whole(frame: Any, row: tuple[Any, Any], book: Book) -> bool:
    """Say whether a row is a whole book."""
    sources = {"/": frame, "^": row[1]}

    def text_of(path: str) -> str:
        return text_at(sources.get(path[:1], row[0]), path.lstrip("/^"))

    return bool(book.snapshot) and all(
        fits(sources.get(match.path[:1], row[0]), msgspec.structs.replace(match, path=match.path.lstrip("/^")))
        and (not match.same_as or text_of(match.path) == text_of(match.same_as) != "")
        for match in book.snapshot
    )


def rows_of(frame: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """Yield the rows of a frame, each with the entry of the outer list that it stands in: lists are walked through."""
    nodes: list[tuple[Any, Any]] = [(frame, frame)]
    for part in path.split(".") if path else ():
        step: list[tuple[Any, Any]] = []
        for node, outer in nodes:
            walked = [(each, each) for each in node] if is_walked(node, part) else [(node, outer)]
            step += [(found, above) for each, above in walked if (found := at(each, part)) is not None]
        nodes = step
    for node, outer in nodes:
        if path and isinstance(node, list):
            yield from ((each, outer) for each in node)
        else:
            yield node, outer


def is_walked(node: Any, part: str) -> bool:
    """Say whether a path goes on in every entry of a list, rather than in one."""
    return isinstance(node, list) and not part.lstrip("-").isdigit()


def name_of(frame: Any, row: tuple[Any, Any], key: Key, event: Any = None) -> str:
    """Return the venue's name of a row's instrument."""
    sources = {"/": frame, "^": row[1], "@": event}
    marked = key.path[:1] in sources
    text = text_at(sources[key.path[0]], key.path[1:]) if marked else text_at(row[0], key.path)
    if key.split:
        parts = text.split(key.split)
        text = parts[key.part] if -len(parts) <= key.part < len(parts) else ""
    return text.removeprefix(key.strip)
