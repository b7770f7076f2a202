"""The batch: the unit that moves between stages."""

from dataclasses import dataclass, field

from tickcast.model.instrument import Definition
from tickcast.model.ledger import LedgerEntry
from tickcast.model.record import Records, empty_records


@dataclass(slots=True)
class Hops:
    """When a batch passed each stage, ns since 1970 UTC; 0 = not passed yet.

    ``received`` is the time of the read that brought the batch's newest bytes.
    """

    received: int = 0
    decoded: int = 0
    bus_in: int = 0
    bus_out: int = 0


@dataclass(slots=True)
class TickBatch:
    """Whole events of one feed, in order, with the definitions that go before them.

    ``texts`` is the optional text column: None, or one entry a record (the text of an id that is no number, the
    reason of a status).
    """

    feed: str
    session: int
    """Feed session: begins at each (re)connect or reset of the venue's sequence."""
    records: Records = field(default_factory=empty_records)
    definitions: tuple[Definition, ...] = ()
    texts: tuple[str | None, ...] | None = None
    hops: Hops = field(default_factory=Hops)
    ledger: tuple[LedgerEntry, ...] = ()
    """Entries that are new or have changed; the newest telling of an id counts."""
