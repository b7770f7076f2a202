"""The plan of a day, and a client of its crowd, without processes."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from tickcast.client.codecs import JSON
from tickcast.model.errors import UsageError
from tickcast.sim.crypto.venue import FAULTS
from tickcast.sim.faults import Fault, FaultGate
from tickcast.testing.day import plan
from tickcast.testing.day.crowd import Client
from tickcast.testing.day.plan import Member
from tickcast.testing.day.report import tables
from tickcast.testing.day.run import CrowdRow, Outcome, VenueRow, numbers_trades
from tickcast.testing.day.subject import crypto_venues, listed, pairs_for

VERBS = {"drop": "", "corrupt": "", "stall": "", "disconnect": "", "clock": "", "restart": "", "throttle": ""}
GATES: dict[str, Any] = {name: {"supports": VERBS, "lines": ["ws", "rest"]} for name in "ABCDEFG"}


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    days = [plan.strikes(GATES, ["A"], seed=seed, until_s=300, every_s=15) for seed in (1, 1, 2)]
    assert days[0] == days[1] != days[2]
    bursts = [plan.bursts(list(GATES), seed=seed, until_s=300, every_s=30) for seed in (1, 1, 2)]
    assert bursts[0] == bursts[1] != bursts[2]


def test_every_verb_comes_at_every_venue_and_those_left_in_peace_have_none() -> None:
    strikes = plan.strikes(GATES, ["A"], seed=3, until_s=1_000, every_s=15)
    assert {one.venue for one in strikes} == set("BCDEFG")
    for venue in "BCDEFG":
        assert {one.fault["fault"] for one in strikes if one.venue == venue} == VERBS.keys()
    assert [one.at_s for one in strikes] == sorted(one.at_s for one in strikes)
    assert all(0 <= one.at_s < 1_000 for one in strikes)
    assert {one.fault.get("line", "") for one in strikes} == {"", "ws", "rest"}


def test_faults_are_those_that_the_simulator_takes() -> None:
    gate = FaultGate(supports=FAULTS, lines=("ws", "rest"))
    for strike in plan.strikes({"A": gate.state()}, [], seed=5, until_s=2_000, every_s=5):
        try:
            gate.arm(msgspec.convert(strike.fault, Fault))
        except UsageError as wrong:
            pytest.fail(f"{strike}: {wrong}")


def test_some_venues_are_left_in_peace() -> None:
    assert len(plan.witnesses("ABC", seed=1)) == 1
    assert len(plan.witnesses([f"V{number}" for number in range(17)], seed=1)) == 3
    assert plan.witnesses("A", seed=1) == []
    assert {plan.witnesses("ABCDE", seed=seed)[0] for seed in range(30)} == set("ABCDE")


def test_the_crowd_speaks_every_codec_in_every_channel_and_watches_everything() -> None:
    symbols = [f"A:S{number}-USD" for number in range(2_000)]
    members = plan.crowd(symbols, 500, seed=1, each=8)
    assert len(members) == 500
    kinds = Counter((one.codec, one.channel) for one in members)
    assert set(kinds) == {(codec, channel) for codec in plan.CODECS for channel, _, _ in plan.CHANNELS}
    assert {symbol for one in members for symbol in one.symbols} == set(symbols)
    assert all(len(one.symbols) == 8 for one in members)
    assert plan.crowd(symbols, 500, seed=1, each=8) == members


def test_a_crowd_that_is_larger_than_the_market_watches_each_symbol_once() -> None:
    for member in plan.crowd(["A:S-USD", "A:T-USD"], 10, seed=1, each=8):
        assert sorted(member.symbols) == ["A:S-USD", "A:T-USD"]


def test_the_market_is_as_large_as_it_is_asked_to_be() -> None:
    venues = crypto_venues()
    assert {"BINANCE", "OKX", "KRAKEN", "DERIBIT"} <= set(venues)
    pairs = pairs_for(venues, 500, seed=1)
    assert sum(listed(code, pairs, seed=1) for code in venues) >= 500
    assert sum(listed(code, pairs - 1, seed=1) for code in venues) < 500


def test_which_venues_number_their_trades() -> None:
    assert [numbers_trades(code) for code in ("COINBASE", "OKX", "NOWHERE")] == [True, False, False]


# ------------------------------------------------------------------ a client


def client(channel: str = "price", **terms: Any) -> Client:
    found = Client(Member(codec="json", channel=channel, rate=0, symbols=("A:X",), terms=terms))
    say(found, type="subscribed", channel=channel, symbols={"A:X": {"state": "live", "epoch": 1, "seq": 5}})
    return found


def say(to: Client, **frame: Any) -> None:
    message = JSON.request({"symbol": "A:X", **frame})
    to.take(message)


def sync(to: Client, channel: str, **row: int) -> None:
    row = {"epoch": 1, "seq": 0, "published": 0, "delivered": 0, "merged": 0, "lost": 0} | row
    say(to, type="synced", id=1, channels={channel: {"A:X": row}})


def test_a_client_keeps_the_newest_and_counts_as_the_protocol_says() -> None:
    one = client()
    say(one, type="snapshot", epoch=1, seq=5, state="live", bid=1, bid_size=2, ask=3, ask_size=4)
    say(one, type="update", seq=6, bid=2)
    say(one, type="update", seq=8, ask=5, state="gap")
    sync(one, "price", published=3, delivered=2, merged=1)
    assert (one.faults, one.synced) == ([], 1)
    assert one.quotes["A:X"] == {"bid": 2, "bid_size": 2, "ask": 5, "ask_size": 4}
    assert one.states == {"A:X": "gap"}
    sync(one, "price", published=4, delivered=3, merged=1)
    assert "2 came" in one.faults[0]


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({"type": "update", "seq": 5}, "seq 5 after 5"),
        ({"type": "update", "seq": 4}, "seq 4 after 5"),
        ({"type": "update", "seq": 6, "symbol": "A:Y"}, "not asked for"),
        ({"type": "snapshot", "seq": 6, "epoch": 2, "state": "live"}, "epoch 2 after 1"),
        ({"type": "error", "code": 4000, "reason": "no"}, "4000"),
    ],
)
def test_what_no_client_may_see_is_a_fault(frame: dict[str, Any], fault: str) -> None:
    one = client()
    say(one, **frame)
    assert fault in one.faults[0]


def test_trades_come_once_and_losses_are_announced() -> None:
    one = client("trades")
    trade = {"type": "trade", "channel": "trades", "price": 1, "size": 2}
    say(one, **trade, seq=6, id="a")
    say(one, type="lost", channel="trades", count=2, epoch=1, seq=8)
    say(one, **trade, seq=9, id="b")
    sync(one, "trades", published=4, delivered=2, lost=2)
    assert (one.faults, one.trades["A:X"], one.lost["A:X"], one.last["A:X"]) == ([], 2, 2, (1, 2))
    say(one, **trade, seq=10, id="b")
    assert "came twice" in one.faults[0]


def test_a_book_is_kept_and_its_best_is_the_quote() -> None:
    one = client("book", depth=5)
    say(one, type="update", channel="book", seq=6, bids=[[1, 1]], asks=[])
    assert "before the book" in one.faults.pop()
    say(one, type="snapshot", channel="book", epoch=1, seq=6, state="live", bids=[[10, 1], [9, 2]], asks=[[11, 3]])
    say(one, type="update", channel="book", seq=7, bids=[[10, 0], [9.5, 7]], asks=[[11, 0]])
    quote = one.quotes["A:X"]
    assert (float(quote["bid"]), quote["bid_size"], quote["ask"]) == (9.5, 7, None)
    assert one.faults == []


def test_the_report_shows_what_is_wrong() -> None:
    outcome = Outcome(
        seed=1,
        minutes=5,
        venues=[
            VenueRow(venue="OKX", instruments=3, faults={"drop": 2}, entries={"gap": 1}, wrong=["it differs"]),
            VenueRow(venue="KRAKEN", is_witness=True),
        ],
        crowd=[CrowdRow(codec="json", channel="price", clients=2, balanced=2, equal=4)],
        wrong=["not calm"],
    )
    assert outcome.differences == 2
    text = tables(outcome)
    for part in ("it differs", "in peace", "gap 1", "not calm", "2 differences", "FAIL"):
        assert part in text
    outcome.wrong, outcome.venues[0].wrong = [], []
    assert "all equal to the truth" in tables(outcome)
