"""The outbox against a plain list: nothing but superseded unsent quotes ever leaves it unacknowledged."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tickcast.bus.outbox import Outbox
from tickcast.model.batch import TickBatch
from tickcast.model.record import Flag, Kind, empty_records


class OutboxMachine(RuleBasedStateMachine):
    """Plays producer, link and bus; ``bus`` is what a bus has taken in, by trade id."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(capacity_records=8)
        self.trade = 0
        self.link: list[tuple[int, TickBatch]] = []
        self.accepted = 0
        self.bus: list[int] = []

    @rule(quotes=st.integers(0, 3))
    def push(self, quotes: int) -> None:
        records = empty_records(1 + quotes)
        records["flags"] = Flag.LAST_OF_EVENT
        records["kind"] = Kind.BID
        records[0]["kind"] = Kind.TRADE
        self.trade += 1
        records[0]["id"] = self.trade
        self.outbox.push(TickBatch("feed", 1, records))

    @rule(count=st.integers(1, 3))
    def send(self, count: int) -> None:
        for number, batch in self.outbox.unsent()[:count]:
            self.outbox.mark_sent(number)
            self.link.append((number, batch))

    @rule(count=st.integers(1, 3))
    def arrive(self, count: int) -> None:
        for number, batch in self.link[:count]:
            if number > self.accepted:
                assert number == self.accepted + 1, "numbers arrive without a hole"
                self.accepted = number
                self.bus.extend(int(i) for i in batch.records["id"] if i)
        del self.link[:count]

    @rule()
    def acknowledge(self) -> None:
        self.outbox.acknowledge(self.accepted)

    @rule()
    def reconnect(self) -> None:
        self.link.clear()
        self.outbox.rewind(self.accepted)

    @rule()
    def conflate(self) -> None:
        before = self.outbox.records
        assert self.outbox.conflate() == (self.outbox.records < before)

    @invariant()
    def trades_arrive_once_in_order(self) -> None:
        assert self.bus == list(range(1, len(self.bus) + 1))

    @invariant()
    def nothing_is_missing(self) -> None:
        waiting = [int(i) for _, batch in self.outbox._batches for i in batch.records["id"] if i]
        held = sorted({*self.bus, *waiting})
        assert held == list(range(1, self.trade + 1))

    @invariant()
    def weight_is_exact(self) -> None:
        assert self.outbox.records == sum(max(1, len(b.records)) for _, b in self.outbox._batches)


TestOutbox = OutboxMachine.TestCase
