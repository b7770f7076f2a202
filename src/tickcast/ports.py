"""Where stages meet: the types that each side knows, and nothing of each other."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth

Clock = Callable[[], int]
"""Now, ns since 1970 UTC."""


class Publisher(Protocol):
    """The producing side of the bus, one for each feed.

    At-least-once: a batch is kept until the bus acknowledged it and is sent again after a reconnect. Bounded: when
    full, ``publish`` waits up to the declared limit, then conflates quotes among the unsent batches before it would
    drop any trade, and counts.
    """

    async def publish(self, batch: TickBatch) -> None:
        """Hand a batch over; returns when the bus has room for it, not when it is acknowledged."""

    async def report(self, health: FeedHealth) -> None:
        """Tell the health of the feed; only the newest counts."""

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None:
        """``refresh`` is called when a bus without our past asks for it: definitions and newest state, flagged SNAPSHOT."""

    async def close(self) -> None:
        """Wait for acknowledgements up to the limit, then let go."""


class Delivery(Protocol):
    """One batch in a consumer's hands."""

    batch: TickBatch
    shard: int
    offset: int
    attempts: int

    def ack(self) -> None:
        """Done: never delivered again to this group."""

    def reject(self, reason: str) -> None:
        """Cannot be processed: to the dead-letter topic with its reason."""


class Subscription(Protocol):
    """A member of a consumer group; order is kept within a shard."""

    def __aiter__(self) -> AsyncIterator[Delivery]: ...
    async def close(self) -> None: ...


class Bus(Protocol):
    """At-least-once, explicit acknowledgement, order per shard, measured lag, dead letters. One suite for every bus."""

    async def start(self) -> None: ...
    def publisher(self, feed: str) -> Publisher: ...
    def subscribe(self, group: str) -> Subscription: ...
    def lag(self, group: str) -> dict[int, int]:
        """Batches not yet acknowledged by the group, by shard."""

    def dead_letters(self) -> Sequence[tuple[TickBatch, str]]: ...
    async def stop(self) -> None: ...
