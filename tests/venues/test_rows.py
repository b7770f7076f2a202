"""Rows lie in memory as the record does, field by field."""

import pytest

from tickcast.model.record import Flag, Kind, State, records_from
from tickcast.venues import rows

LAST = int(Flag.LAST_OF_EVENT)


def fields(row: bytes) -> dict[str, int]:
    (record,) = records_from(row)
    return {name: int(record[name]) for name in record.dtype.names or () if int(record[name])}


def test_a_trade() -> None:
    row = rows.trade(7, (18540, 2), (5, 1), ident=2**64 - 1, side=2, seq=9, ts_event=-1, ts_recv=11)
    assert fields(row) == {
        "ts_event": -1,
        "ts_recv": 11,
        "instrument": 7,
        "seq": 9,
        "id": 2**64 - 1,
        "price": 18540,
        "size": 5,
        "kind": Kind.TRADE,
        "side": 2,
        "price_scale": 2,
        "size_scale": 1,
        "flags": LAST,
    }


def test_a_side_of_the_best_and_an_empty_one() -> None:
    row = rows.quote(7, Kind.BID, ((-1, 3), (4, 0)), seq=1, ts_event=1, ts_recv=1, last=False)
    assert fields(row) | {"seq": 1} == {
        "ts_event": 1,
        "ts_recv": 1,
        "instrument": 7,
        "seq": 1,
        "price": -1,
        "size": 4,
        "kind": Kind.BID,
        "price_scale": 3,
    }
    empty = fields(rows.quote(7, Kind.ASK, None, seq=1, ts_event=1, ts_recv=1, last=True))
    assert empty["flags"] == Flag.LAST_OF_EVENT | Flag.NO_PRICE | Flag.NO_SIZE
    assert "price" not in empty


def test_status_gap_volume_and_close() -> None:
    assert fields(rows.status(7, State.HALTED, ts_event=1, ts_recv=2))["detail"] == State.HALTED
    gap = fields(rows.gap(7, 3, next_seq=10, ts_recv=2))
    assert (gap["id"], gap["seq"], gap["kind"]) == (3, 10, Kind.GAP)
    assert "id" not in fields(rows.gap(7, -3, next_seq=10, ts_recv=2))
    assert fields(rows.volume(7, 12, ts_event=1, ts_recv=2))["size"] == 12
    close = fields(rows.previous_close(7, "184.50", ts_event=1, ts_recv=2))
    assert (close["price"], close["price_scale"], close["kind"]) == (18450, 2, Kind.PREV_CLOSE)
    with pytest.raises(ValueError, match="x"):
        rows.previous_close(7, "x", ts_event=1, ts_recv=2)
