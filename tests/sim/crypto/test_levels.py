"""Books of levels: what a stream tells, applied to what it told before, is the book of now."""

from hypothesis import given
from hypothesis import strategies as some

from tickcast.sim.crypto import levels
from tickcast.sim.crypto.levels import Sides
from tickcast.sim.crypto.listing import Product
from tickcast.sim.crypto.state import Instrument, Stream, Topic
from tickcast.sim.universe import UNIT

LADDER = some.dictionaries(some.integers(1, 40), some.integers(1, 9), max_size=15)
BOOKS = some.lists(some.tuples(LADDER, LADDER), min_size=2, max_size=8)


def instrument() -> Instrument:
    product = Product(
        native="BTCUSDT", symbol="BTC-USDT", kind="spot", base="BTC", quote="USDT", source=0, tick=UNIT, lot=UNIT,
        price=1.0, typical=1.0,
    )  # fmt: skip
    return Instrument(product, row=0, base=100)


def applied(held: Sides, bids: list[tuple[int, int]], asks: list[tuple[int, int]], depth: int) -> Sides:
    """What a client holds that takes changes and cuts to the depth."""
    for side, changes in zip(held, (bids, asks), strict=True):
        for price, size in changes:
            if size:
                side[price] = size
            else:
                side.pop(price, None)
    return levels.cut(held, depth)


@given(BOOKS, some.sampled_from([0, 3, 10]), some.booleans())
def test_differences_lead_from_book_to_book(books: list[Sides], depth: int, forget_pushed: bool) -> None:
    one, stream = instrument(), Stream(Topic("book", "BTCUSDT", depth=depth, forget_pushed=forget_pushed), None)
    news = levels.whole(one, stream, books[0])
    held: Sides = (dict(news.bids), dict(news.asks))
    last = news.last
    for book in books[1:]:
        one.book_id += 3
        change = levels.differences(one, stream, book)
        if change is None:
            assert levels.cut(held, depth) == levels.cut(book, depth)
            continue
        assert (change.previous, change.first, change.last) == (last, last + 1, one.book_id)
        last = change.last
        # a level that was pushed out is not told: whoever holds the rest of the book cannot know that it is back
        held = applied(held, change.bids, change.asks, depth)
        assert held == levels.cut(book, depth)


@given(LADDER, LADDER, LADDER)
def test_levels_that_rest_showed_are_told_again(
    first: dict[int, int], shown: dict[int, int], then: dict[int, int]
) -> None:
    one, stream = instrument(), Stream(Topic("book", "BTCUSDT"), None)
    levels.whole(one, stream, (dict(first), {}))
    levels.expose(stream, (dict(shown), {}))
    one.book_id += 1
    change = levels.differences(one, stream, (dict(then), {}))
    held: Sides = (dict(shown), {})
    if change is not None:
        held = applied(held, change.bids, change.asks, 0)
    assert held[0] == then


def test_order_and_depth() -> None:
    sides: Sides = ({1: 5, 3: 1, 2: 2}, {7: 1, 6: 4, 9: 2})
    assert levels.in_order(sides[0], 0, 2) == [(3, 1), (2, 2)]
    assert levels.in_order(sides[1], 1) == [(6, 4), (7, 1), (9, 2)]
    assert levels.cut(sides, 2) == ({3: 1, 2: 2}, {6: 4, 7: 1})
    assert levels.cut(sides, 3) is sides


def test_a_second_listener_gets_what_the_first_holds() -> None:
    one, stream = instrument(), Stream(Topic("book", "BTCUSDT"), None)
    levels.whole(one, stream, ({1: 5}, {2: 3}))
    one.book_id += 5
    told = levels.as_told(stream)
    assert (told.snapshot, told.bids, told.asks, told.last) == (True, [(1, 5)], [(2, 3)], 100)
