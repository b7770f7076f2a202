"""The simulated exchanges of ``tickcast demo``: what the simulator is told of each, and what the feed that reads it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Table = dict[str, Any]
Place = Callable[[], str]
"""Gives another free ``host:port``."""


def _xnas(place: Place) -> tuple[Table, Table]:
    address = place()
    return {"dialect": "soup_itch", "address": address}, {"address": address}


def _xbos(place: Place) -> tuple[Table, Table]:
    lines, rerequest = [place(), place()], place()
    servers = {"lines": lines, "rerequest": rerequest}
    return {"dialect": "mold_itch", **servers}, servers


def _crypto(dialect: str) -> Callable[[Place], tuple[Table, Table]]:
    """Return the tables of a venue with streams and REST."""

    def make(place: Place) -> tuple[Table, Table]:
        streams, rest = place(), place()
        sim = {"dialect": dialect, "address": streams, "rest_address": rest}
        return sim, {"url": f"ws://{streams}", "rest_url": f"http://{rest}"}

    return make


def _xsim(place: Place) -> tuple[Table, Table]:
    address = place()
    return {"dialect": "xsim", "address": address}, {"rest_url": f"http://{address}", "interval_ms": 200}


def _bats(place: Place) -> tuple[Table, Table]:
    a, b, gap_a, gap_b, gap, spin = (place() for _ in range(6))
    sim = {
        "dialect": "pitch", "lines_a": [a], "lines_b": [b], "gap_lines": [gap_a, gap_b], "gap_address": gap,
        "spin_address": spin,
    }  # fmt: skip
    return sim, {"lines": [a, b], "gap_lines": [gap_a, gap_b], "gap_address": gap, "spin_address": spin}


def _xnys(place: Place) -> tuple[Table, Table]:
    address = place()
    # a market that is quiet for seconds is told from a dead one by its heartbeats
    return {"dialect": "fix", "address": address}, {"address": address, "heartbeat_s": 2}


EXCHANGES: Final[Mapping[str, Callable[[Place], tuple[Table, Table]]]] = {
    "XNAS": _xnas,
    "XBOS": _xbos,
    "BATS": _bats,
    "XNYS": _xnys,
    "BINANCE": _crypto("binance"),
    "BINANCE_FUTURES": _crypto("binance_futures"),
    "OKX": _crypto("okx"),
    "COINBASE": _crypto("coinbase"),
    "KRAKEN": _crypto("kraken"),
    "KRAKEN_FUTURES": _crypto("kraken_futures"),
    "BITSTAMP": _crypto("bitstamp"),
    "BYBIT": _crypto("bybit"),
    "DERIBIT": _crypto("deribit"),
    "BITFINEX": _crypto("bitfinex"),
    "GEMINI": _crypto("gemini"),
    "BITGET": _crypto("bitget"),
    "KUCOIN": _crypto("kucoin"),
    "GATEIO": _crypto("gateio"),
    "HTX": _crypto("htx"),
    "BITMEX": _crypto("bitmex"),
    "CRYPTO_COM": _crypto("crypto_com"),
    "POLONIEX": _crypto("poloniex"),
    "XSIM": _xsim,
}
"""All that can be simulated, in the order in which they stand in the files."""
DEMO: Final = ("XNAS", "XBOS", "BATS", "XNYS", "BINANCE", "XSIM")
"""Those of ``tickcast demo`` unless it is told others."""


def tables(exchanges: Sequence[str], place: Place) -> tuple[dict[str, Table], dict[str, Table]]:
    """The simulator's ``[venues.NAME]`` and the instance's ``[feeds.NAME]``."""
    venues: dict[str, Table] = {}
    feeds: dict[str, Table] = {}
    for name in exchanges:
        venues[name], feed = EXCHANGES[name](place)
        feeds[feed_name(name)] = {"venue": name, **feed}
    return venues, feeds


def feed_name(venue: str) -> str:
    """Name of the feed that reads a venue."""
    return venue.lower().replace("_", "-")


def securities(exchanges: Sequence[str], symbols: int) -> dict[str, list[str]]:
    """Tokenised stocks are spelt with their currency; they belong to the stock's security."""
    from tickcast.sim import config, universe  # noqa: PLC0415  only for the simulated market

    settings = config.Config(symbols=symbols)
    stocks = int(symbols * settings.market.stock_share)
    tokenised = [symbol for symbol, _ in universe.listed_stocks(stocks)][: settings.market.tokenised]
    spelt = {name: f"{name}:{{}}-USD" if name == "BINANCE" else f"{name}:{{}}" for name in exchanges if name in DEMO}
    return {symbol: [form.format(symbol) for form in spelt.values()] for symbol in tokenised if spelt}
