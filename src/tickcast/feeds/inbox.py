"""What arrived and waits for the pipeline: bounded in bytes, in order of arrival over all links.

Owner: the feed's shell. Policy when full: block. The links are not read any more until half of it is done, so that TCP
pushes back on the venue; nothing is dropped here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tickcast.venues.base import Answer, Request


@dataclass(slots=True)
class Opened:
    """A link is open."""

    link: str
    now_ns: int


@dataclass(slots=True)
class Closed:
    """A link is closed."""

    link: str
    now_ns: int
    reason: str = ""


@dataclass(slots=True)
class Missed:
    """A link that its session must name again could not be opened."""

    link: str
    now_ns: int


@dataclass(slots=True)
class Received:
    """Consecutive reads of one link."""

    link: str
    chunks: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Answered:
    """A REST answer."""

    request: Request
    answer: Answer


Arrival = Opened | Closed | Missed | Received | Answered


class Inbox:
    """See the module."""

    def __init__(self, *, bound: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """``pause`` and ``resume`` reach every open link."""
        self.bound = bound
        self.size = 0
        """Bytes that wait or are being worked on."""
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._arrivals: list[Arrival] = []

    @property
    def paused(self) -> bool:
        """Whether the links are not read."""
        return self._paused

    def __len__(self) -> int:
        return len(self._arrivals)

    def put(self, arrival: Opened | Closed | Missed | Answered) -> None:
        """Take something other than bytes of a link."""
        self._arrivals.append(arrival)
        if isinstance(arrival, Answered):
            self._grow(len(arrival.answer.body))

    def put_bytes(self, link: str, chunks: list[bytes], now_ns: int) -> None:
        """Take what one read of a link brought."""
        newest = self._arrivals[-1] if self._arrivals else None
        if not isinstance(newest, Received) or newest.link != link:
            newest = Received(link)
            self._arrivals.append(newest)
        newest.chunks.extend(chunks)
        newest.times.extend([now_ns] * len(chunks))
        self._grow(sum(map(len, chunks)))

    def take(self) -> list[Arrival]:
        """Everything that waits; call :meth:`done` when it is worked off."""
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def done(self, arrivals: list[Arrival]) -> None:
        """Give the room of these back."""
        for arrival in arrivals:
            if isinstance(arrival, Received):
                self.size -= sum(map(len, arrival.chunks))
            elif isinstance(arrival, Answered):
                self.size -= len(arrival.answer.body)
        if self._paused and self.size <= self.bound // 2:
            self._paused = False
            self._resume()

    def _grow(self, count: int) -> None:
        self.size += count
        if self.size >= self.bound and not self._paused:
            self._paused = True
            self._pause()
