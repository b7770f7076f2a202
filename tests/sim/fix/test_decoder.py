"""What the exchange says, read by our own decoder: books, last trades and statuses equal the truth, nothing is lost."""

import pytest
from tests.sim.fix.test_server import follow, serving
from tests.sim.fix_client import FixClient

from tickcast import _native
from tickcast.model.record import records_from
from tickcast.sim.truth import venue_truth


@pytest.mark.parametrize("entry_time", ["entry", "transact"])
@pytest.mark.parametrize("entries_max", [5, 200])
async def test_our_decoder_has_the_same_books(entry_time: str, entries_max: int) -> None:
    async with serving(entry_time=entry_time, entries_max=entries_max) as (venue, address):
        venue.run(0.5)
        client = await FixClient.connect(address)
        await client.logon()
        client.send("x", (320, "L"), (559, 4))
        client.subscribe(venue.symbols())
        await client.kind("f", 24)
        await follow(venue, client, 2.0)
        decoder = _native.FixDecoder("XNYS", depth=5, wait_for_snapshot=True)
        frames = _native.fix_split(b"".join(client.raw))
        assert frames.messages == len(client.messages)
        assert not frames.damaged
        events = []
        for run in frames.runs:
            found = decoder.decode(run.raw, 1)
            assert (found.dead_count, found.unpriced) == (0, 0)
            assert len(records_from(found.records)) or found.events or found.instruments
            events += found.events
        assert {kind for kind, _, _ in events} == {"snapshot", "listed", "other"}
        for symbol, is_true in venue_truth(venue.dialect).items():
            bids, asks = decoder.book(symbol, 1)
            (bid, bid_size, _), (ask, ask_size, _) = bids[0], asks[0]
            assert (bid, bid_size, ask, ask_size) == tuple(
                is_true[name] for name in ("bid", "bid_size", "ask", "ask_size")
            )
        await client.close()
