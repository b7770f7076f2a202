import msgspec

from tickcast.latest.registry import InstrumentRegistry
from tickcast.model.instrument import Definition


def define(instrument: int, name: str, *, security: str | None = None, primary: bool = False) -> Definition:
    venue, symbol = name.split(":")
    return Definition(
        instrument=instrument,
        venue=venue,
        symbol=symbol,
        feed=venue.lower(),
        security=security or symbol,
        asset_class="crypto" if "-" in symbol else "equity",
        currency="USD",
        primary=primary,
    )


def filled() -> InstrumentRegistry:
    registry = InstrumentRegistry()
    registry.add(
        [define(1, "XSIM:AAPL"), define(2, "XNAS:AAPL", primary=True), define(3, "BINANCE:AAPL-USD", security="AAPL")]
    )
    registry.add([define(4, "XNAS:MSFT"), define(5, "BINANCE:BTC-USDT")])
    return registry


def test_lists_instruments_and_securities_in_order() -> None:
    found, following = filled().search()
    assert [listing.symbol for listing in found] == [
        "AAPL", "BINANCE:AAPL-USD", "BINANCE:BTC-USDT", "BTC-USDT", "MSFT", "XNAS:AAPL", "XNAS:MSFT", "XSIM:AAPL",
    ]  # fmt: skip
    assert following is None
    security = found[0]
    assert (security.venue, security.legs) == (None, ("XNAS:AAPL", "XSIM:AAPL", "BINANCE:AAPL-USD"))


def test_pages_join_without_overlap() -> None:
    registry, cursor = filled(), ""
    seen: list[str] = []
    for _ in range(10):
        page, following = registry.search(limit=3, cursor=cursor)
        seen.extend(listing.symbol for listing in page)
        if following is None:
            break
        cursor = following
    assert seen == [listing.symbol for listing in registry.search()[0]]


def test_filters() -> None:
    registry = filled()
    assert [x.symbol for x in registry.search("btc")[0]] == ["BINANCE:BTC-USDT", "BTC-USDT"]
    assert [x.symbol for x in registry.search(venue="XSIM")[0]] == ["XSIM:AAPL"]
    assert [x.symbol for x in registry.search("aapl", asset_class="crypto")[0]] == ["BINANCE:AAPL-USD"]


def test_only_news_is_news() -> None:
    registry = filled()
    assert registry.add([define(4, "XNAS:MSFT")]) == []
    moved = define(4, "XNAS:MSFT", security="MICROSOFT")
    assert registry.add([moved]) == [moved]
    symbols = [x.symbol for x in registry.search()[0]]
    assert "MICROSOFT" in symbols
    assert "MSFT" not in symbols, "a security without instruments is gone"
    assert len(registry) == 5
    assert 4 in registry
    assert 99 not in registry


def test_an_overview_has_the_securities_over_most_venues_and_one_instrument_of_each_venue() -> None:
    registry = filled()
    registry.add([define(6, "DERIBIT:BTC-USD-50000-C"), define(7, "OKX:BTC-USDT"), define(8, "BINANCE:ETH-USDT")])
    found = [one.symbol for one in registry.overview(20)]
    securities, legs = found[:5], found[5:]
    assert securities[:2] == ["AAPL", "BTC-USDT"]
    assert sorted(securities[2:]) == ["BTC-USD-50000-C", "ETH-USDT", "MSFT"]
    assert legs[:3] == ["XNAS:AAPL", "XSIM:AAPL", "BINANCE:AAPL-USD"]
    assert sorted(legs[3:]) == ["DERIBIT:BTC-USD-50000-C", "OKX:BTC-USDT"]


def test_an_overview_is_no_longer_than_asked_and_leaves_series_to_the_end() -> None:
    registry = InstrumentRegistry()
    option = msgspec.structs.replace(define(1, "DERIBIT:BTC-USD-50000-C"), asset_class="option")
    registry.add([option, define(2, "DERIBIT:BTC-USD-PERP"), define(3, "DERIBIT:ETH-USD-PERP")])
    assert [one.symbol for one in registry.overview(4)] == [
        "BTC-USD-PERP", "ETH-USD-PERP", "BTC-USD-50000-C", "DERIBIT:BTC-USD-PERP",
    ]  # fmt: skip
    assert [one.symbol for one in registry.overview(1)] == ["BTC-USD-PERP"]
    assert InstrumentRegistry().overview(5) == []
