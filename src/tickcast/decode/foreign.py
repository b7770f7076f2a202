"""Settings for session files that say none: those of other recorders."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.venues.base import VenueConfig

ADDRESS: Final = "wss://recorded"
STREAMS: Final = ("trade", "aggTrade", "bookTicker", "depth")
QUOTES: Final = re.compile(
    r"(.+?)(USDT|USDC|BUSD|TUSD|FDUSD|USDS|PAX|BIDR|BKRW|IDRT|BTC|ETH|BNB|TRX|XRP|DOGE|[A-Z]{3})$"
)
"""Divides a symbol of Binance where nothing says how: quote assets, the longest first."""


class Recorded(msgspec.Struct, kw_only=True):
    """A header, ours or another recorder's."""

    exchange: str = ""
    feed: str = ""
    config: dict[str, Any] = {}
    """Another recorder's: channel to instruments."""
    settings: dict[str, Any] = {}
    """Ours: the feed's table."""


def foreign_feed(header: Recorded, code: str, early: Sequence[Line]) -> tuple[VenueConfig, list[Line]]:
    """Make a feed's settings from what came before the first frame; returns them and what to replay.

    Raises:
        UsageError: sessions of this venue need the settings in their header.
    """
    if code != "BINANCE":
        raise UsageError(f"expected settings in the header of a session file of {code}, found none; it was not decoded")
    return binance_feed(header, early)


def binance_feed(header: Recorded, early: Sequence[Line]) -> tuple[VenueConfig, list[Line]]:
    """Make the settings of combined streams, and a list of just the instruments that were recorded."""
    names = {name for line in early if line.t == "connect" for name in stream_names(line.addr)}
    native = {name.partition("@")[0].upper() for name in names}
    wanted = {pair.replace("-", "").upper(): pair for pair in pairs(header.config)}
    lists = [line for line in early if line.t == "http" and urlsplit(line.url).path.endswith("/exchangeInfo")]
    listed = {str(each["symbol"]): each for line in lists for each in symbols_of(line.data or "")}
    chosen = [listed.get(symbol) or entry_of(symbol, wanted.get(symbol)) for symbol in sorted(native or wanted)]
    if not chosen:  # nothing says what was recorded: everything that the venue lists
        chosen = list(listed.values())
    kinds = {name.partition("@")[2].partition("@")[0] for name in names}
    streams = tuple(stream for stream in STREAMS if stream in kinds) or STREAMS
    slow = any(name.endswith("@depth") for name in names)
    config = VenueConfig(
        venue="BINANCE",
        url=ADDRESS,
        rest_url="https://recorded",
        symbols=tuple(f"{each['baseAsset']}-{each['quoteAsset']}" for each in chosen),
        streams=streams,
        depth_speed="1000ms" if slow else "100ms",
        streams_max=1 << 20,
    )
    first = next(iter(early), Line(t="http"))
    answer = Line(
        t="http", ts=first.ts, url="https://recorded/api/v3/exchangeInfo", data=json.dumps({"symbols": chosen})
    )
    return config, [answer, *(line for line in early if line not in lists)]


def stream_names(address: str) -> list[str]:
    """Return the names of the streams in a combined stream's address."""
    query = unquote(urlsplit(address).query)
    found = re.search(r"streams=([^&]*)", query)
    return [name for name in found[1].split("/") if name] if found else []


def pairs(config: dict[str, Any]) -> Iterable[str]:
    """Yield the instruments that a recorder asked for, over its channels."""
    for instruments in config.values():
        if isinstance(instruments, list):
            yield from (str(name) for name in instruments if "-" in str(name))


def symbols_of(text: str) -> list[dict[str, Any]]:
    """Return the entries of a list of instruments; none if it is damaged."""
    try:
        found = json.loads(text)["symbols"]
    except (ValueError, KeyError, TypeError):
        return []
    return [entry for entry in found if isinstance(entry, dict) and {"symbol", "baseAsset", "quoteAsset"} <= set(entry)]


def entry_of(symbol: str, pair: str | None) -> dict[str, Any]:
    """Make a list's entry of a symbol that no list has."""
    if pair is not None:
        base, _, quote = pair.upper().partition("-")
    else:
        divided = QUOTES.match(symbol)
        base, quote = (divided[1], divided[2]) if divided else (symbol, "X")
    return {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote}
