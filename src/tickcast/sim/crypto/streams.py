"""Topics that somebody listens to: found by instrument, told when they are due, written once."""

from collections.abc import Iterator, Sequence
from typing import Final

from tickcast.sim.crypto.state import Client, Instrument, Kind, Stream, Topic

PHASES: Final = 8
"""Streams of one interval are told in so many portions, so that no slice has to write all of them."""
MILLISECOND_NS: Final = 1_000_000
STANDING: Final[frozenset[Kind]] = frozenset(
    {"ticker", "mark", "index", "funding", "open_interest", "greeks", "status"}
)
"""Looked at whenever their time comes; other kinds when they changed."""


class Group:
    """Streams of one interval and phase."""

    __slots__ = ("interval_ns", "next_ns", "stale", "standing")

    def __init__(self, interval_ns: int, next_ns: int) -> None:
        self.interval_ns, self.next_ns = interval_ns, next_ns
        self.standing: dict[Stream, None] = {}
        self.stale: dict[Stream, None] = {}

    def pass_by(self, now_ns: int) -> None:
        """Set the time after ``now_ns``."""
        if self.interval_ns:
            self.next_ns += ((now_ns - self.next_ns) // self.interval_ns + 1) * self.interval_ns


class Streams:
    """All of one venue."""

    def __init__(self) -> None:
        self._streams: dict[Topic, Stream] = {}
        self._by_row: dict[tuple[Kind, int], list[Stream]] = {}
        self._wide: dict[Kind, list[Stream]] = {}
        self._groups: dict[tuple[int, int], Group] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._streams.values()))

    def find(self, topic: Topic) -> Stream | None:
        """Return a topic's stream."""
        return self._streams.get(topic)

    def join(self, client: Client, topic: Topic, instrument: Instrument | None, now_ns: int) -> tuple[Stream, bool]:
        """Add a listener; returns the stream, and whether it is new."""
        stream = self._streams.get(topic)
        fresh = stream is None
        if stream is None:
            stream = self._streams[topic] = Stream(topic, instrument)
            self._home(stream).append(stream)
            group = self._group(stream, now_ns)
            if topic.kind in STANDING:
                group.standing[stream] = None
        stream.listeners[client] = None
        client.topics[topic] = None
        return stream, fresh

    def leave(self, client: Client, topic: Topic) -> None:
        """Take a listener away; a stream without any is forgotten."""
        client.topics.pop(topic, None)
        stream = self._streams.get(topic)
        if stream is None:
            return
        stream.listeners.pop(client, None)
        if stream.listeners:
            return
        del self._streams[topic]
        self._home(stream).remove(stream)
        group = self._group(stream)
        group.stale.pop(stream, None)
        group.standing.pop(stream, None)

    def mute(self, row: int | None) -> None:
        """Forget who listens to an instrument's streams, or to any; they hear again when they subscribe anew."""
        for stream in self._streams.values():
            if row is None or (stream.instrument is not None and stream.instrument.row == row):
                stream.listeners.clear()

    def of(self, kind: Kind, row: int) -> Sequence[Stream]:
        """Streams that tell this of an instrument, those of whole markets with them."""
        own = self._by_row.get((kind, row), ())
        wide = self._wide.get(kind)
        return [*own, *wide] if wide else own

    def changed(self, kind: Kind, row: int) -> None:
        """Have the streams of an instrument told when their time comes."""
        for stream in self._by_row.get((kind, row), ()):
            self._group(stream).stale[stream] = None

    def again(self, stream: Stream) -> None:
        """Have a stream told when its time comes, whether something changed or not."""
        self._group(stream).stale[stream] = None

    def due(self, now_ns: int) -> Iterator[Stream]:
        """Streams whose time has come, each once; the time of their next is set."""
        for group in list(self._groups.values()):
            if group.next_ns > now_ns or not (group.stale or group.standing):
                continue
            group.pass_by(now_ns)
            stale, group.stale = group.stale, {}
            yield from stale
            yield from list(group.standing)

    def _home(self, stream: Stream) -> list[Stream]:
        kind = stream.topic.kind
        if stream.instrument is None:
            return self._wide.setdefault(kind, [])
        return self._by_row.setdefault((kind, stream.instrument.row), [])

    def _group(self, stream: Stream, now_ns: int = 0) -> Group:
        interval_ns = stream.topic.interval_ms * MILLISECOND_NS
        phase = stream.instrument.row % PHASES if interval_ns and stream.instrument is not None else 0
        group = self._groups.get((interval_ns, phase))
        if group is None:
            begin = (now_ns // interval_ns + 1) * interval_ns + phase * interval_ns // PHASES if interval_ns else 0
            group = self._groups[interval_ns, phase] = Group(interval_ns, begin)
        return group
