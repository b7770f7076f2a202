"""What records pass before they are batches: one pass of the core against the plain way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.reference_intake import Reference

from tickcast import _native
from tickcast.model.record import Flag, Kind, Records, empty_records, records_from

SKEW_NS = 100
FLAGS = (0, Flag.LAST_OF_EVENT, Flag.LAST_OF_EVENT, Flag.LAST_OF_EVENT | Flag.SNAPSHOT, Flag.BACKFILLED)
KINDS = (Kind.TRADE, Kind.TRADE, Kind.BID, Kind.ASK, Kind.BOOK_BID, Kind.GAP, Kind.STATUS, Kind.BUST, Kind.MARK)
ROW = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([int(kind) for kind in KINDS]),
        "instrument": st.integers(0, 5),
        "id": st.integers(0, 3),
        "seq": st.integers(0, 3),
        "price": st.integers(0, 1),
        "flags": st.sampled_from([int(flag) for flag in FLAGS]),
        "ts_event": st.integers(0, 400),
        "ts_recv": st.integers(0, 400),
    }
)
READ = st.tuples(st.lists(ROW, max_size=25), st.sets(st.integers(1, 5), max_size=2), st.booleans())


def rows_of(values: list[dict[str, int]]) -> Records:
    records = empty_records(len(values))
    for index, fields in enumerate(values):
        for name, value in fields.items():
            records[name][index] = value
    return records


@settings(max_examples=300, deadline=None)
@given(reads=st.lists(READ, max_size=12), batch_max=st.integers(1, 6))
def test_rows_pass_as_the_plain_way_says(
    reads: list[tuple[list[dict[str, int]], set[int], bool]], batch_max: int
) -> None:
    intake = _native.Intake(window=100_000, skew_ns=SKEW_NS, batch_max=batch_max)
    plain = Reference(skew_ns=SKEW_NS, batch_max=batch_max)
    for values, learnt, is_new_session in reads:
        if is_new_session:
            intake.begin_session()
            plain.begin_session()
        intake.learn(sorted(learnt))
        plain.known |= learnt
        given = rows_of(values)
        taken, expected = intake.take(given.tobytes()), plain.take(given)
        assert taken.records == expected.records.tobytes()
        assert (taken.unknown or b"") == expected.unknown.tobytes()
        assert (list(range(len(given))) if taken.places is None else taken.places) == expected.places
        assert taken.ends == expected.ends
        assert taken.notable == expected.notable
        assert (intake.duplicates, intake.skewed, intake.gaps) == (plain.duplicates, plain.skewed, plain.gaps)
        assert intake.snapshot() == plain.last.snapshot()


def test_what_passes_whole_is_handed_back_without_a_copy() -> None:
    intake = _native.Intake(window=10, skew_ns=SKEW_NS, batch_max=10)
    intake.learn([1])
    data = rows_of([{"kind": Kind.TRADE, "instrument": 1, "id": 7, "flags": Flag.LAST_OF_EVENT}]).tobytes()
    assert intake.take(data).records is data
    assert intake.take(data).records == b""
    late = rows_of([{"kind": Kind.TRADE, "instrument": 1, "id": 8, "ts_event": SKEW_NS + 1, "flags": 1}]).tobytes()
    (row,) = records_from(intake.take(late).records)
    assert (row["ts_event"], row["flags"]) == (0, Flag.LAST_OF_EVENT | Flag.CLOCK_SKEW)


def test_half_a_record_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 64 bytes"):
        _native.Intake(window=1, skew_ns=0, batch_max=1).take(b"x" * 65)
