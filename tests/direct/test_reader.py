from decimal import Decimal
from typing import Any

from tickcast import _native
from tickcast.direct import Book, BookChange, Gap, Measure, Status, Trade
from tickcast.direct.reader import Reader
from tickcast.model.batch import TickBatch
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, Side, State, empty_records

BTC = _native.instrument_id("BINANCE:BTC-USDT")
LAST = int(Flag.LAST_OF_EVENT)


def definition() -> Definition:
    return Definition(
        instrument=BTC, venue="BINANCE", symbol="BTC-USDT", feed="binance", security="BTC-USDT", asset_class="crypto",
        currency="USDT",
    )  # fmt: skip


def row(kind: Kind, **fields: Any) -> Records:
    made = empty_records(1)
    made["instrument"], made["kind"], made["flags"], made["ts_event"], made["ts_recv"] = BTC, kind, LAST, 5, 7
    for name, value in fields.items():
        made[name] = value
    return made


def read(*rows: Records, reader: Reader | None = None, texts: tuple[str | None, ...] | None = None) -> list[Any]:
    batch = TickBatch(feed="binance", session=1, records=_joined(rows), definitions=(definition(),), texts=texts)
    return list((reader or Reader()).read(batch))


def _joined(rows: tuple[Records, ...]) -> Records:
    made = empty_records(len(rows))
    for index, one in enumerate(rows):
        made[index] = one[0]
    return made


def begin(*levels: Records) -> list[Records]:
    """Write a whole book."""
    flags = Flag.NO_PRICE | Flag.SNAPSHOT
    return [row(Kind.BOOK_BID, flags=flags), row(Kind.BOOK_ASK, flags=flags), *levels]


def unknown() -> list[Records]:
    """Write that the book is not known any more."""
    flags = Flag.NO_PRICE | Flag.SNAPSHOT | Flag.INVALID_BOOK
    return [row(Kind.BOOK_BID, flags=flags), row(Kind.BOOK_ASK, flags=flags | LAST)]


def test_a_trade_has_exact_numbers_its_side_and_its_id() -> None:
    [trade] = read(row(Kind.TRADE, price=6000150, price_scale=2, size=12, size_scale=3, side=Side.SELLER, id=9, seq=3))
    assert trade == Trade(
        symbol="BINANCE:BTC-USDT", timestamp_ns=5, received_ns=7, seq=3, price=Decimal("60001.50"),
        size=Decimal("0.012"), side="sell", id="9",
    )  # fmt: skip
    assert str(trade.price) == "60001.50"


def test_an_id_that_is_no_number_is_its_text() -> None:
    [trade] = read(row(Kind.TRADE, id=123, flags=LAST | Flag.HISTORY), texts=("a-uuid",))
    assert (trade.id, trade.side, trade.history) == ("a-uuid", None, True)


def test_a_quote_is_told_once_for_an_event_of_both_sides_and_keeps_the_other_side() -> None:
    reader = Reader()
    both = read(row(Kind.BID, price=10, size=1, flags=0), row(Kind.ASK, price=11, size=2), reader=reader)
    assert [(quote.bid, quote.bid_size, quote.ask, quote.ask_size) for quote in both] == [(10, 1, 11, 2)]
    [quote] = read(row(Kind.ASK, flags=LAST | Flag.NO_PRICE), reader=reader)
    assert (quote.bid, quote.ask, quote.ask_size) == (10, None, None)


def test_levels_are_one_change_and_begin_anew_after_a_gap() -> None:
    reader = Reader()
    first = read(
        *begin(row(Kind.BOOK_BID, price=9, size=1, flags=0), row(Kind.BOOK_ASK, price=12, size=4)), reader=reader
    )
    assert first == [
        BookChange(
            symbol="BINANCE:BTC-USDT", timestamp_ns=5, received_ns=7, bids=((Decimal(9), Decimal(1)),),
            asks=((Decimal(12), Decimal(4)),), begins=True,
        )
    ]  # fmt: skip
    [change] = read(row(Kind.BOOK_BID, price=9, size=0), reader=reader)
    assert (change.begins, change.bids) == (False, ((9, 0),))
    gap, status = read(row(Kind.GAP, id=4, seq=20), *unknown(), row(Kind.STATUS, detail=State.GAP), reader=reader)
    assert isinstance(gap, Gap)
    assert (gap.missing, gap.recovered) == (4, False)
    assert isinstance(status, Status)
    assert status.state == "gap"
    assert read(row(Kind.BOOK_ASK, price=13, size=1), reader=reader) == [], "of a book that is not known"
    [again] = read(*begin(row(Kind.BOOK_ASK, price=13, size=1)), reader=reader)
    assert (again.begins, again.asks) == (True, ((13, 1),))


def test_measures_and_liquidations_are_named() -> None:
    funding, liquidation = read(
        row(Kind.FUNDING, price=-125, price_scale=6), row(Kind.LIQUIDATION, price=5, size=1, side=Side.BUYER)
    )
    assert isinstance(funding, Measure)
    assert (funding.name, funding.value) == ("funding", Decimal("-0.000125"))
    assert isinstance(liquidation, Trade)
    assert (liquidation.liquidation, liquidation.side) == (True, "buy")


def test_rows_of_an_instrument_without_a_definition_are_passed_over() -> None:
    stranger = row(Kind.TRADE, price=1)
    stranger["instrument"] = 42
    assert read(stranger) == []


def test_a_book_compares_by_value() -> None:
    one = Book(symbol="A:B", bids=(), asks=(), state="live", seq=1, timestamp_ns=2)
    assert one == Book(symbol="A:B", bids=(), asks=(), state="live", seq=1, timestamp_ns=2)


def test_a_book_goes_on_whatever_its_state_until_it_begins_anew() -> None:
    reader = Reader()
    level = row(Kind.BOOK_BID, price=10, size=1)
    status = [row(Kind.STATUS, detail=state) for state in (State.LIVE, State.STALE, State.GAP)]
    begins = [
        [tick.begins for tick in read(*rows, reader=reader) if isinstance(tick, BookChange)]
        for rows in ([status[0], *begin(level)], [status[1], level], [status[2], level], [*unknown(), *begin(level)])
    ]
    assert begins == [[True], [False], [False], [True]]
