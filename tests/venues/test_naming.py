"""Definitions: securities and primaries from the config's table."""

import pytest

from tickcast.venues.naming import Naming, SymbolError

TABLE = {"AAPL": ["XNAS:AAPL", "XSIM:AAPL", "BINANCE:AAPL-USD"]}


def naming(venue: str) -> Naming:
    return Naming(feed="f", venue=venue, calendar="XNYS", securities=TABLE)


def test_the_first_name_of_a_security_is_the_primary() -> None:
    one = naming("XNAS").define("AAPL", asset_class="equity", currency="USD")
    assert (one.security, one.primary, one.feed, one.calendar) == ("AAPL", True, "f", "XNYS")
    other = naming("BINANCE").define("AAPL-USD", asset_class="crypto", currency="USD", native_symbol="AAPLUSD")
    assert (other.security, other.primary, other.native_symbol) == ("AAPL", False, "AAPLUSD")


def test_without_an_entry_the_security_is_the_symbol() -> None:
    one = naming("XNAS").define("MSFT", asset_class="equity", currency="USD", native_symbol="MSFT")
    assert (one.security, one.primary, one.native_symbol) == ("MSFT", False, "")


@pytest.mark.parametrize("symbol", ["", "A B", "aapl", "A" * 65, "A:B/C"])
def test_a_name_outside_the_symbology_is_refused(symbol: str) -> None:
    with pytest.raises(SymbolError):
        naming("XNAS").define(symbol, asset_class="equity", currency="USD")
