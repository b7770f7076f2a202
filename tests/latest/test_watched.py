"""What clients watch becomes what feeds are told."""

from tickcast.latest.registry import InstrumentRegistry
from tickcast.latest.watched import WatchedBoard
from tickcast.model.instrument import Definition

NONE: frozenset[int] = frozenset()


def definition(number: int, venue: str, *, feed: str) -> Definition:
    return Definition(
        instrument=number,
        venue=venue,
        symbol="BTC-USD",
        feed=feed,
        security="BTC-USD",
        asset_class="crypto",
        currency="USD",
    )


def board() -> WatchedBoard:
    registry = InstrumentRegistry()
    registry.add([definition(1, "KRAKEN", feed="kraken"), definition(2, "COINBASE", feed="coinbase")])
    return WatchedBoard(registry)


def test_watchers_of_an_instrument_go_to_its_feed_alone() -> None:
    assert board().changes([("KRAKEN:BTC-USD", 3)]) == {"kraken": ({1: 3}, NONE)}


def test_who_watches_a_security_watches_its_legs() -> None:
    watched = board()
    assert watched.changes([("BTC-USD", 2), ("KRAKEN:BTC-USD", 1)]) == {
        "kraken": ({1: 3}, NONE),
        "coinbase": ({2: 2}, NONE),
    }


def test_only_changes_are_told_and_the_end_too() -> None:
    watched = board()
    assert watched.changes([("BTC-USD", 2)]) == {"kraken": ({1: 2}, NONE), "coinbase": ({2: 2}, NONE)}
    assert watched.changes([("BTC-USD", 2)]) == {}
    assert watched.changes([("BTC-USD", 2), ("KRAKEN:BTC-USD", 1)]) == {"kraken": ({1: 3}, NONE)}
    assert watched.changes([]) == {"kraken": ({}, NONE), "coinbase": ({}, NONE)}
    assert watched.changes([]) == {}


def test_what_nobody_defined_is_nobodys() -> None:
    assert board().changes([("NOPE", 5), ("KRAKEN:NOPE", 5)]) == {}


def test_books_are_told_apart_from_what_else_is_watched() -> None:
    watched = board()
    counts = [("BTC-USD", 2)]
    both = {"kraken": ({1: 2}, frozenset({1})), "coinbase": ({2: 2}, frozenset({2}))}
    assert watched.changes(counts, ["BTC-USD"]) == both
    assert watched.changes(counts, ["BTC-USD"]) == {}
    assert watched.changes(counts, ["KRAKEN:BTC-USD"]) == {"coinbase": ({2: 2}, NONE)}
    assert watched.changes(counts) == {"kraken": ({1: 2}, NONE)}


def test_feeds_that_remember_an_older_core_are_told_that_nobody_watches() -> None:
    watched = board()
    assert watched.changes([("KRAKEN:BTC-USD", 1)], everyone=True) == {"kraken": ({1: 1}, NONE), "coinbase": ({}, NONE)}
    assert watched.changes([("KRAKEN:BTC-USD", 1)], everyone=True) == {}
    assert watched.changes([], everyone=True) == {"kraken": ({}, NONE)}
    assert watched.changes([], everyone=True) == {}
    assert watched.changes([("BTC-USD", 1)], ["COINBASE:BTC-USD"], everyone=True) == {
        "kraken": ({1: 1}, NONE),
        "coinbase": ({2: 1}, {2}),
    }
