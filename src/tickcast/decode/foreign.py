"""What a session file says of itself: which dialect it speaks, which instruments it holds, whose answer is whose.

Ours have the feed's settings in their header. Others have a header with the instruments that were asked for, the
addresses, what was sent and the recorded REST answers; hosts and queries are whatever they were in that year.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from tickcast.decode.shapes import Name
from tickcast.model.capture import Line
from tickcast.model.errors import UsageError
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.bitget.v1 import BitgetV1Venue, is_v1
from tickcast.venues.coinbase.exchange import CoinbaseExchangeVenue
from tickcast.venues.crypto_com.v2 import CryptoComV2Venue
from tickcast.venues.declared.venue import Channel, Listed, Venue
from tickcast.venues.kraken.v1 import KrakenV1Venue
from tickcast.venues.registry import find_declared


class Recorded(msgspec.Struct, kw_only=True):
    """A header, ours or another recorder's."""

    exchange: str = ""
    feed: str = ""
    config: dict[str, Any] | None = None
    """Another recorder's: channel to instruments."""
    settings: dict[str, Any] = {}
    """Ours: the feed's table."""
    selection: str = ""
    """Another recorder's: ``all``, or which part of the session this is."""


class Older(NamedTuple):
    """A former dialect of a venue, by its address."""

    address: str
    """A regular expression that is looked for."""
    name: str
    reader: type[Venue] | None = None
    """None: it is not read."""


OLDER: Final[Mapping[str, tuple[Older, ...]]] = {
    "KRAKEN": (Older(r"^wss?://[^/]+/?$", "Kraken v1", KrakenV1Venue),),
    "BYBIT": (Older(r"/realtime|/quote/ws|/spot/|/contract/|/v3/", "Bybit v2 or v3"),),
    "OKX": (Older(r"/ws/v3", "OKX v3"),),
    "COINBASE": (Older(r"ws-feed|ws-direct", "Coinbase Exchange (Pro)", CoinbaseExchangeVenue),),
    "BITGET": (Older(r"/(?:spot|mix)/v1/", "Bitget v1", BitgetV1Venue),),
    "DERIBIT": (Older(r"/ws/api/v1", "Deribit v1"),),
    "CRYPTO_COM": (Older(r"/v2/market", "Crypto.com v2", CryptoComV2Venue),),
}

HTTP_REFUSED: Final = 400
"""Status of answers, from which on they are refusals."""

SIBLINGS: Final[Mapping[str, str]] = {
    "BINANCE_US": "BINANCE",
    "BINANCE_TR": "BINANCE",
    "BINANCE_DELIVERY": "BINANCE_FUTURES",
    "OKEX": "OKX",
    "HUOBI": "HTX",
    "HUOBI_SWAP": "HTX",
    "HUOBI_DM": "HTX",
    "KUCOIN_FUTURES": "KUCOIN",
    "GATEIO_FUTURES": "GATEIO",
    "CRYPTO.COM": "CRYPTO_COM",
}
"""Venues, or former names of one, that speak another's dialect in recordings."""

TOLD_BY_FRAMES: Final[Mapping[str, Sequence[tuple[type[Venue], Callable[[bytes], bool]]]]] = {
    "BITGET": ((BitgetV1Venue, is_v1),),
    "KRAKEN": ((KrakenV1Venue, lambda frame: frame[:1] == b"[" or b'"event"' in frame[:200]),),
    "COINBASE": ((CoinbaseExchangeVenue, lambda frame: b'"channel"' not in frame and b'"type"' in frame),),
    "CRYPTO_COM": ((CryptoComV2Venue, lambda frame: re.match(rb'\{("id":\d+,)?"code"', frame) is not None),),
}
"""Former dialects of recordings without addresses, by the first frame."""


# ------------------------------------------------------------------ declared venues


def venue_of(code: str, header: Recorded, lines: Sequence[Line], first: bytes) -> Venue:
    """Return the venue that reads a recording, as it was configured; ``first`` is the recording's first frame.

    Raises:
        UsageError: the recording speaks a dialect that is not read.
    """
    found = find_declared(code)
    if found is None:
        raise UsageError(f"expected a session of a declared venue, found one of {code}; it was not decoded")
    addresses = addresses_of(lines)
    older = {each for address in addresses if (each := older_at(code, address)) is not None}
    unread = next((each for each in older if each.reader is None), None)
    if unread is not None:
        raise UsageError(
            f"expected a session of {found.title}, found one of {unread.name} ({', '.join(addresses)}): this dialect "
            "is not read; it was not decoded"
        )
    readers = [each.reader for each in older if each.reader is not None]
    if not addresses:
        readers += [reader for reader, is_its in TOLD_BY_FRAMES.get(code, ()) if is_its(first)]
    return (readers[0] if readers else found)(own_feed(header, code))


def siblings_of(code: str) -> tuple[str, ...]:
    """Return the other codes under which recordings of a venue's dialect may be."""
    return tuple(sibling for sibling, family in SIBLINGS.items() if family == code)


def older_at(code: str, address: str) -> Older | None:
    """Say which former dialect an address speaks; None: today's."""
    return next((each for each in OLDER.get(code, ()) if re.search(each.address, address)), None)


def own_feed(header: Recorded, code: str) -> VenueConfig:
    """Return the settings that a capture of ours says, as far as a venue reads them; others say none.

    Raises:
        UsageError: they are no settings.
    """
    names = {field.name for field in msgspec.structs.fields(VenueConfig)}
    settings = {name: value for name, value in header.settings.items() if name in names}
    settings["venue"] = code
    try:
        return msgspec.convert(settings, VenueConfig, strict=False)
    except msgspec.ValidationError as wrong:
        raise UsageError(f"expected a feed's settings in the header, found: {wrong}; it was not decoded") from wrong


def addresses_of(lines: Sequence[Line]) -> list[str]:
    """Return the addresses of all connections, each once."""
    return list(dict.fromkeys(line.addr for line in lines if line.t == "connect" and line.addr))


def lists_of(venue: Venue, lines: Sequence[Line]) -> dict[Name, Listed]:
    """Read the lists of instruments that were recorded; the first that names an instrument counts."""
    requests = venue.listing()
    found: dict[Name, Listed] = {}
    for line in lines:
        request = listing_of(requests, line.url) if line.t == "http" else None
        if line.t == "http" and end_of(line.url) in venue.former_lists:
            request = requests[0]
        if request is None:
            continue
        try:
            listed = venue.listed(request, (line.data or "").encode())
        except ValueError:
            continue
        for each in listed:
            found.setdefault((each.market, each.native), each)
    return found


def listing_of(requests: Sequence[Request], url: str) -> Request | None:
    """Say to which request for a list a recorded answer is that: of the same end of the path, the nearest one."""
    asked = urlsplit(url)
    query = parse_qs(asked.query)
    same = [each for each in requests if end_of(each.url) == end_of(url)]
    queries = [parse_qs(urlsplit(each.url).query) for each in same]
    telling = {name for each in queries for name in each if len({str(other.get(name)) for other in queries}) > 1}
    best: tuple[int, Request] | None = None
    for request, wanted in zip(same, queries, strict=True):
        if any(name in query and name in wanted and query[name] != wanted[name] for name in telling):
            continue
        score = sum(query.get(name) == value for name, value in wanted.items()) + shared_end(request.url, url)
        if best is None or score > best[0]:
            best = score, request
    if best is not None:
        return best[1]
    return Request(purpose=same[0].purpose, url=url) if same else None  # a part of the list that we ask for otherwise


def shared_end(one: str, other: str) -> int:
    """Count the parts at the end of two addresses' paths that are the same."""
    paths = [urlsplit(each).path.rstrip("/").lower().split("/")[::-1] for each in (one, other)]
    same = [left == right for left, right in zip(*paths, strict=False)]
    return same.index(False) if False in same else len(same)


def end_of(url: str) -> str:
    """Return the last part of an address's path: versions before it change."""
    return urlsplit(url).path.rstrip("/").rpartition("/")[2].lower()


def stem_of(url: str) -> str:
    """Return the last part but one of an address's path."""
    return end_of(urlsplit(url).path.rstrip("/").rpartition("/")[0])


def asked_of(venue: Venue, header: Recorded, lines: Sequence[Line]) -> Sequence[Listed]:
    """Say what the recorder had subscribed to, as far as addresses and subscriptions alone tell."""
    sent = [line.data for line in lines if line.t == "send" and line.data is not None]
    return venue.recorded(addresses_of(lines), sent, list(dict.fromkeys(pairs(header.config))))


def named_by(venue: Venue, lines: Sequence[Line], names: Iterable[Name]) -> Sequence[Listed]:
    """Say what names alone tell of instruments that are on no list: as if the recorder had subscribed to them."""
    found: list[Listed] = []
    for market, native in names:
        sent = [frame.decode() for frame in venue.subscribe([Channel("trade", native, market)])]
        found += [
            replace(each, market=market, native=native)
            for each in venue.recorded(addresses_of(lines), sent, [])
            if each.native.lower() == native.lower() and each.market in {market, ""}
        ][:1]
    return found


def markets_of(venue: Venue, listed: Iterable[Listed]) -> dict[str, set[str]]:
    """Say which markets each of the venue's endpoints serves."""
    found: dict[str, set[str]] = {}
    for each in listed:
        for channel in venue.channels(each):
            found.setdefault(channel.endpoint, set()).add(each.market)
    return found


def market_at(venue: Venue, address: str, markets: Mapping[str, set[str]]) -> str:
    """Say of which market the names on a connection are, by its address; "" where that does not matter."""
    path = urlsplit(address).path.rstrip("/")
    serving = [name for name, end in venue.endpoints.items() if path == end.rstrip("/")]
    if serving and venue.endpoint_markets:
        return serving[0]
    known = markets.get(serving[0], set()) if serving else {market for each in markets.values() for market in each}
    return next(iter(known)) if len(known) == 1 else ""


def is_book_of(venue: Venue, listed: Listed, line: Line) -> bool:
    """Say whether a recorded answer is the book of an instrument."""
    request = venue.book_request(listed.native, listed.market)
    ends = venue.recorded_books
    return request is not None and is_answer(request, listed.native, line.url, ends=ends)


def is_refusal(line: Line) -> bool:
    """Say whether a request was not answered but refused, or met a page for people: nothing of the market is lost."""
    body = (line.data or "").lstrip()
    return line.status >= HTTP_REFUSED or not body or body.startswith("<")


def is_poll_of(venue: Venue, listed: Listed, line: Line) -> bool:
    """Say whether a recorded answer is one of those that an instrument's figures come by."""
    return any(is_answer(request, listed.native, line.url) for request in venue.polls(listed))


def is_answer(request: Request, native: str, url: str, *, ends: Sequence[str] = ()) -> bool:
    """Say whether an address asks for what a request does: the end of the path (or one of ``ends``), the instrument."""
    if end_of(url) not in {end_of(request.url), *ends}:
        return False
    if end_of(url) == native.lower():  # named in the path: what is before it says what is asked for
        return stem_of(request.url) == stem_of(url)
    wanted, found = (parse_qs(urlsplit(each).query) for each in (request.url, url))
    naming = [name for name, values in wanted.items() if native.lower() in (value.lower() for value in values)]
    return any([value.lower() for value in found.get(name, [])] == [native.lower()] for name in naming)


def pairs(config: Mapping[str, Any] | None) -> Iterable[str]:
    """Yield the instruments that a recorder asked for, over its channels."""
    for instruments in (config or {}).values():
        if isinstance(instruments, list):
            yield from (str(name) for name in instruments if "-" in str(name))
