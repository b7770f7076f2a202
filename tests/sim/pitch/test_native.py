"""What BATS says, through the real decoder: everything understood, and its books are the venue's."""

import pytest

from tickcast import _native
from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.days import midnight_ns
from tickcast.sim.market import OrderFlow
from tickcast.sim.pitch.encode import Block
from tickcast.sim.pitch.venue import PitchVenue

START = 1_774_879_200_000_000_000
UNITS = 3


class Decoding:
    """A venue, and a decoder that gets all it says."""

    def __init__(self) -> None:
        market = MarketConfig(halt_every_s=1.0, halt_min_s=0.2, halt_max_s=0.4, open_after_ms=50.0)
        config = Config(seed=2, symbols=60, rate=50_000, market=market)
        self.universe = listing.build(config)
        stocks = range(self.universe.stock_count)
        self.flow = OrderFlow(self.universe, stocks, config, venue="BATS", base=1, auctions=True, keep_refs=True)
        self.venue = PitchVenue(self.flow, units=UNITS, rare_every_s=0.05)
        self.venue.midnight_ns = midnight_ns(START, "America/New_York")
        self.decoder = _native.PitchDecoder("BATS", self.venue.midnight_ns)
        self.next = dict.fromkeys(range(1, UNITS + 1), 1)
        begun = self.flow.begin(START).events
        self.feed(self.venue.prologue(START))
        self.feed(self.venue.orders(begun))
        self.number = 0

    def run(self, slices: int) -> None:
        for _ in range(slices):
            self.number += 1
            end = START + self.number * 10_000_000
            part = self.flow.step(
                start_ns=end - 10_000_000, end_ns=end, elapsed_ns=self.number * 10_000_000, events=200.0
            )
            self.feed(self.venue.slice(part, end))

    def feed(self, blocks: list[Block], *, sequenced: bool = True) -> None:
        for block in blocks:
            first = self.next[block.unit] if sequenced else 0
            decoded = self.decoder.decode(block.messages, block.unit, first, START)
            assert (decoded.dead_count, decoded.unpriced, decoded.messages) == (0, 0, len(block.ends))
            if sequenced:
                self.next[block.unit] += decoded.messages

    def has_the_true_books(self) -> None:
        columns = [column.tolist() for column in self.flow.best()]
        for index, bid, bid_size, ask, ask_size in zip(range(self.universe.stock_count), *columns, strict=True):
            bids, asks = self.decoder.book(self.universe.symbols[index], 1)
            for side, price, size in ((bids, bid, bid_size), (asks, ask, ask_size)):
                found = [(float(its_price), its_size) for its_price, its_size, _ in side]
                assert found == ([(float(self.universe.price_text(index, price)), size)] if price else [])


@pytest.fixture
def decoding() -> Decoding:
    return Decoding()


def test_the_decoder_understands_all_of_it_and_ends_with_the_same_books(decoding: Decoding) -> None:
    decoding.run(300)
    decoding.has_the_true_books()


def test_units_that_begin_anew_leave_the_same_books(decoding: Decoding) -> None:
    decoding.run(100)
    decoding.next = dict.fromkeys(decoding.next, 1)
    decoding.feed(decoding.venue.snapshot(START + 1_000_000_000))
    decoding.has_the_true_books()
    decoding.run(50)
    decoding.has_the_true_books()


def test_a_spin_makes_the_same_books_in_an_empty_decoder(decoding: Decoding) -> None:
    decoding.run(100)
    image = decoding.venue.image(START + 1_000_000_000, (0, *[n - 1 for n in decoding.next.values()]))
    decoding.decoder = _native.PitchDecoder("BATS", decoding.venue.midnight_ns)
    for unit in range(1, UNITS + 1):
        decoding.feed(decoding.venue.spin(image, unit)[0], sequenced=False)
    decoding.has_the_true_books()
