"""The pipeline: each record once, in order, whole events, known instruments only."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.record import RECORD, Flag, Kind, Records, State
from tickcast.normalise.config import Config
from tickcast.normalise.pipeline import Pipeline
from tickcast.venues import rows

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def definition(instrument: int) -> Definition:
    return Definition(
        instrument=instrument,
        venue="T",
        symbol=f"S{instrument}",
        feed="f",
        security=f"S{instrument}",
        asset_class="equity",
        currency="USD",
    )


def trade(ident: int, *, instrument: int = 1, ts_event: int = NOW) -> bytes:
    return rows.trade(instrument, (ident, 2), (1, 0), ident=ident, side=0, seq=0, ts_event=ts_event, ts_recv=NOW)


def make(*instruments: int, **config: int) -> Pipeline:
    pipeline = Pipeline("f", Config(**config))
    accept(pipeline, b"", definitions=[definition(one) for one in instruments or (1,)])
    return pipeline


def accept(
    pipeline: Pipeline,
    records: bytes,
    *,
    definitions: list[Definition] | None = None,
    texts: dict[int, str] | None = None,
    new_session: bool = False,
) -> list[TickBatch]:
    return pipeline.accept(
        records,
        received_ns=NOW,
        decoded_ns=NOW + 5,
        definitions=definitions or [],
        texts=texts,
        new_session=new_session,
    )


def ids(batches: list[TickBatch]) -> list[int]:
    return [int(one) for batch in batches for one in batch.records["id"]]


def test_a_batch_carries_stamps_session_and_definitions() -> None:
    pipeline = Pipeline("f")
    (batch,) = accept(pipeline, trade(1), definitions=[definition(1)])
    assert (batch.feed, batch.session) == ("f", NOW // 1_000_000)
    assert (batch.hops.received, batch.hops.decoded) == (NOW, NOW + 5)
    assert batch.definitions == (definition(1),)
    assert batch.texts is None
    assert ids([batch]) == [1]
    (again,) = accept(pipeline, trade(2), definitions=[definition(1)])
    assert again.definitions == ()


def test_nothing_new_is_no_batch() -> None:
    pipeline = make()
    assert accept(pipeline, b"") == []
    assert len(accept(pipeline, trade(1))) == 1
    assert accept(pipeline, trade(1)) == []
    assert pipeline.duplicates == 1


def test_a_new_session_forgets_what_was_seen_and_counts_on() -> None:
    pipeline = make()
    (first,) = accept(pipeline, trade(1))
    (second,) = accept(pipeline, trade(1), new_session=True)
    assert second.session == first.session + 1
    assert accept(pipeline, trade(1)) == []
    assert pipeline.duplicates == 1


def test_texts_stay_with_their_records() -> None:
    pipeline = make()
    accept(pipeline, trade(2))
    (batch,) = accept(pipeline, trade(1) + trade(2) + trade(3), texts={0: "T-1", 1: "T-2", 2: "T-3"})
    assert ids([batch]) == [1, 3]
    assert batch.texts == ("T-1", "T-3")


def test_an_event_time_ahead_of_the_clock_is_not_believed() -> None:
    pipeline = make()
    (batch,) = accept(pipeline, trade(1, ts_event=NOW + SECOND) + trade(2, ts_event=NOW + SECOND + 1))
    assert batch.records["ts_event"].tolist() == [NOW + SECOND, NOW]
    assert [bool(flags & Flag.CLOCK_SKEW) for flags in batch.records["flags"].tolist()] == [False, True]
    assert pipeline.skewed == 1


def test_an_old_event_time_is_believed() -> None:
    (batch,) = accept(make(), trade(1, ts_event=1))
    assert batch.records["ts_event"].tolist() == [1]


def test_records_wait_for_their_definition() -> None:
    pipeline = make(1)
    assert ids(accept(pipeline, trade(1, instrument=7) + trade(2) + trade(3, instrument=8))) == [2]
    batches = accept(pipeline, trade(4, instrument=7), definitions=[definition(7)])
    assert ids(batches) == [1, 4]
    assert batches[0].definitions == (definition(7),)
    assert ids(accept(pipeline, b"", definitions=[definition(8)])) == [3]
    assert pipeline.dead_letters == 0


def test_the_waiting_room_is_bounded() -> None:
    pipeline = make(1, waiting_max=10)
    for number in range(25):
        accept(pipeline, trade(number, instrument=7))
    assert pipeline.dead_letters == 15
    assert ids(accept(pipeline, b"", definitions=[definition(7)])) == list(range(15, 25))


def test_records_of_the_market_as_a_whole_need_no_definition() -> None:
    assert ids(accept(Pipeline("f"), trade(5, instrument=0))) == [5]


def test_gaps_are_entered_in_the_ledger() -> None:
    pipeline = make(1)
    for number in range(3):
        accept(pipeline, rows.gap(1, 10 + number, next_seq=100 + number, ts_recv=NOW))
    assert pipeline.gaps == 3
    assert [(one.missing, one.from_seq, one.to_seq) for one in pipeline.ledger.known()] == [
        (10, 90, 99),
        (11, 90, 100),
        (12, 90, 101),
    ]


def test_a_late_joiner_is_told_definitions_and_newest_state() -> None:
    pipeline = Pipeline("f")
    assert pipeline.refresh() is None
    quote = {
        kind: rows.quote(1, kind, ((5, 0), (6, 0)), seq=9, ts_event=NOW, ts_recv=NOW, last=True)
        for kind in (Kind.BID, Kind.ASK)
    }
    state = rows.status(1, State.HALTED, ts_event=NOW, ts_recv=NOW)
    accept(pipeline, trade(1) + trade(2) + b"".join(quote.values()) + state, definitions=[definition(1)])
    told = pipeline.refresh()
    assert told is not None
    assert told.definitions == (definition(1),)
    assert sorted(told.records["kind"].tolist()) == [Kind.TRADE, Kind.BID, Kind.ASK, Kind.STATUS, Kind.VOLUME]
    assert all(flags & Flag.SNAPSHOT for flags in told.records["flags"][:-1].tolist())
    assert told.records["flags"][-1] == Flag.LAST_OF_EVENT | Flag.NO_SIZE, "what was traded before is not known"
    assert 2 in told.records["id"].tolist()


def events(sizes: list[int], instrument: int = 1) -> Records:
    """Events of so many rows; ``seq`` is unique."""
    total = sum(sizes)
    records = np.zeros(total, RECORD)
    records["instrument"] = instrument
    records["kind"] = Kind.BOOK_BID
    records["seq"] = np.arange(1, total + 1)
    records["flags"][np.cumsum(sizes) - 1] = Flag.LAST_OF_EVENT
    return records


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=60), batch_max=st.integers(1, 20))
def test_batches_are_bounded_and_never_cut_an_event(sizes: list[int], batch_max: int) -> None:
    pipeline = make(1, batch_max=batch_max)
    batches = accept(pipeline, events(sizes).tobytes())
    assert [int(seq) for batch in batches for seq in batch.records["seq"]] == list(range(1, sum(sizes) + 1))
    for batch in batches:
        assert batch.records["flags"][-1] & Flag.LAST_OF_EVENT
        ends = int(np.count_nonzero(batch.records["flags"] & Flag.LAST_OF_EVENT))
        assert len(batch.records) <= batch_max or ends == 1


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), max_size=80), st.integers(1, 9))
def test_each_trade_passes_once_and_in_order(trades: list[tuple[int, int]], size: int) -> None:
    pipeline = make(1, 2, 3)
    out: list[tuple[int, int]] = []
    for start in range(0, len(trades), size):
        part = trades[start : start + size]
        data = b"".join(trade(ident, instrument=instrument) for instrument, ident in part)
        for batch in accept(pipeline, data):
            out.extend(zip(batch.records["instrument"].tolist(), batch.records["id"].tolist(), strict=True))
    assert out == list(dict.fromkeys(trades))
