"""A full producer loses no trade, ends with the newest quotes, and shows no bid beside an ask of another time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickcast.bus.conflate import conflate
from tickcast.model.batch import TickBatch
from tickcast.model.record import Flag, Kind, Records, empty_records
from tickcast.testing.bus import entry

Row = tuple[int, int, int]  # kind, instrument, price
event = st.integers(1, 3).flatmap(
    lambda instrument: st.lists(
        st.tuples(
            st.sampled_from([Kind.TRADE, Kind.BID, Kind.ASK, Kind.STATUS]), st.just(instrument), st.integers(1, 999)
        ),
        min_size=1,
        max_size=3,
    )
)


def batch(events: list[list[Row]], *, texts: bool = False) -> TickBatch:
    rows = [(row, i == len(rows) - 1) for rows in events for i, row in enumerate(rows)]
    records = empty_records(len(rows))
    for index, ((kind, instrument, price), last) in enumerate(rows):
        records[index]["kind"], records[index]["instrument"], records[index]["price"] = kind, instrument, price
        records[index]["flags"] = Flag.LAST_OF_EVENT if last else 0
    return TickBatch("feed", 1, records, texts=tuple(f"text {p}" for (_, _, p), _ in rows) if texts else None)


def quotes(records: Records) -> dict[tuple[int, int], int]:
    """The state a reader has at the end."""
    return {
        (int(r["instrument"]), int(r["kind"])): int(r["price"]) for r in records if r["kind"] in (Kind.BID, Kind.ASK)
    }


def others(records: Records) -> list[Row]:
    return [
        (int(r["kind"]), int(r["instrument"]), int(r["price"]))
        for r in records
        if r["kind"] not in (Kind.BID, Kind.ASK)
    ]


@given(st.lists(st.lists(event, max_size=6), min_size=1, max_size=5))
def test_keeps_everything_but_superseded_quotes(batches: list[list[list[Row]]]) -> None:
    given_batches = [batch(events) for events in batches]
    before = np.concatenate([b.records for b in given_batches])
    merged, dropped = conflate(given_batches)
    assert others(merged.records) == others(before)
    assert quotes(merged.records) == quotes(before)
    assert len(merged.records) + dropped == len(before)
    for instrument in (1, 2, 3):
        rows = [r for r in merged.records if r["instrument"] == instrument and r["kind"] in (Kind.BID, Kind.ASK)]
        assert len(rows) <= 2
        if len(rows) == 2:
            assert not rows[0]["flags"] & Flag.LAST_OF_EVENT, "bid and ask are one event"
            assert rows[1]["flags"] & Flag.LAST_OF_EVENT
    if len(merged.records):
        assert merged.records[-1]["flags"] & Flag.LAST_OF_EVENT


def test_texts_stay_with_their_rows() -> None:
    merged, _ = conflate([batch([[(Kind.BID, 1, 5)], [(Kind.TRADE, 1, 6)]], texts=True), batch([[(Kind.BID, 1, 7)]])])
    assert merged.texts == ("text 6", None)
    assert merged.records["price"].tolist() == [6, 7]


def test_of_every_entry_of_the_ledger_the_newest_telling_stays() -> None:
    batches = [TickBatch("feed", 1, ledger=(entry(1), entry(2))), TickBatch("feed", 1, ledger=(entry(1, ended_ns=9),))]
    merged, _ = conflate(batches)
    assert merged.ledger == (entry(1, ended_ns=9), entry(2))


def level(instrument: int, kind: Kind, price: int, size: int, *, scale: int = 0, flags: int = 0) -> Records:
    made = empty_records(1)
    made["instrument"], made["kind"], made["price"], made["size"] = instrument, kind, price, size
    made["price_scale"], made["flags"] = scale, flags | Flag.LAST_OF_EVENT
    return made


def test_of_a_book_the_newest_of_each_level_stays_behind_its_newest_beginning() -> None:
    begin = Flag.NO_PRICE | Flag.SNAPSHOT
    rows = [
        level(1, Kind.BOOK_BID, 9, 1),
        level(1, Kind.BOOK_ASK, 12, 1),
        level(1, Kind.BOOK_BID, 0, 0, flags=begin),
        level(1, Kind.BOOK_BID, 8, 2),
        level(2, Kind.BOOK_BID, 7, 7),
        level(1, Kind.BOOK_BID, 80, 0, scale=1),
        level(1, Kind.BOOK_BID, 9, 3),
    ]
    batches = [TickBatch("feed", 1, np.concatenate(rows[:4])), TickBatch("feed", 1, np.concatenate(rows[4:]))]
    merged, dropped = conflate(batches)
    told = [(r["instrument"], r["kind"], r["price"], r["size"], bool(r["flags"] & 1)) for r in merged.records]
    assert told == [
        (2, Kind.BOOK_BID, 7, 7, True),
        (1, Kind.BOOK_ASK, 12, 1, False),
        (1, Kind.BOOK_BID, 0, 0, False),
        (1, Kind.BOOK_BID, 80, 0, False),
        (1, Kind.BOOK_BID, 9, 3, True),
    ]
    assert dropped == 2
