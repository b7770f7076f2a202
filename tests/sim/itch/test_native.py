"""What XNAS says, through the real decoder: everything understood, and its books are the venue's."""

import time

from tickcast import _native
from tickcast.sim import universe as listing
from tickcast.sim.config import Config, MarketConfig
from tickcast.sim.days import midnight_ns
from tickcast.sim.itch.venue import ItchVenue, count_packets
from tickcast.sim.market import OrderFlow

START = 1_774_879_200_000_000_000


def test_the_decoder_understands_all_of_it_and_ends_with_the_same_books() -> None:
    market = MarketConfig(halt_every_s=1.0, halt_min_s=0.2, halt_max_s=0.4, open_after_ms=50.0)
    config = Config(seed=2, symbols=60, rate=50_000, market=market)
    universe = listing.build(config)
    flow = OrderFlow(universe, range(universe.stock_count), config, venue="XNAS", base=1, auctions=True)
    venue = ItchVenue(flow, rare_every_s=0.05)
    venue.midnight_ns = midnight_ns(START, "America/New_York")
    decoder = _native.ItchDecoder("XNAS", venue.midnight_ns)
    orders = flow.begin(START).events
    blocks = [venue.prologue(START) + venue.encoder.events(orders, midnight_ns=venue.midnight_ns)]
    for number in range(1, 301):
        end = START + number * 10_000_000
        part = flow.step(start_ns=end - 10_000_000, end_ns=end, elapsed_ns=number * 10_000_000, events=200.0)
        block, count = venue.slice(part, end)
        assert count == count_packets(block)
        blocks.append(block)
    sequence, instruments = 1, 0
    for block in blocks:
        frames = _native.soup_split(block)
        assert (frames.consumed, frames.control) == (len(block), [])
        decoded = decoder.decode(frames.messages, sequence, time.time_ns())
        assert (decoded.dead_count, decoded.unpriced, decoded.messages) == (0, 0, frames.sequenced)
        sequence += frames.sequenced
        instruments += len(decoded.instruments)
    assert instruments == universe.stock_count
    columns = [column.tolist() for column in flow.best()]
    for index, bid, bid_size, ask, ask_size in zip(range(universe.stock_count), *columns, strict=True):
        bids, asks = decoder.book(universe.symbols[index], 1)
        assert [(float(price), size) for price, size, _ in bids] == (
            [(float(universe.price_text(index, bid)), bid_size)] if bid else []
        )
        assert [(float(price), size) for price, size, _ in asks] == (
            [(float(universe.price_text(index, ask)), ask_size)] if ask else []
        )
