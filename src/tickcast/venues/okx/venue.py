"""OKX v5: lists, subscriptions and cold messages."""

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from tickcast.venues.base import Request
from tickcast.venues.declared.dialect import Dialect
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    ClockReading,
    Happening,
    Leaving,
    Limits,
    Listed,
    Print,
    Quota,
    Refused,
    Relist,
    Status,
    TradeHistory,
    Unknown,
    Venue,
    strange,
)
from tickcast.venues.okx import wire
from tickcast.venues.okx.dialect import BOOKS, DIALECT, INDEX
from tickcast.venues.okx.names import STATES, family_of, from_symbol, index_from, kind_of, listed_from, named, state_of

TYPES: Final = {"spot": "SPOT", "swap": "SWAP", "futures": "FUTURES", "option": "OPTION"}
"""Words of the config's ``markets`` to the venue's instrument types."""
INSTRUMENTS: Final = "/api/v5/public/instruments"
FAMILIES: Final = "/api/v5/public/underlying?instType=OPTION"
CHANNELS: Final = {
    "trade": ("trades", "SPOT SWAP FUTURES OPTION"),
    "quote": ("bbo-tbt", "SPOT SWAP FUTURES OPTION"),
    "book": ("books", "SPOT SWAP FUTURES OPTION"),
    "ticker": ("tickers", "SPOT SWAP FUTURES OPTION"),
    "mark": ("mark-price", "SWAP FUTURES OPTION"),
    "funding": ("funding-rate", "SWAP"),
    "open_interest": ("open-interest", "SWAP FUTURES OPTION"),
}
"""Channel of each stream that has one for every instrument, and of which types."""
REFUSED: Final = re.compile(r"channel:\s*([\w-]+)\s*,\s*inst(?:Id|Type|Family):\s*([\w-]+)")
CHANGES_MAX: Final = 20
"""A push of the ``instruments`` channel with more entries is the whole list that follows a subscription."""
SETTINGS: Final = ("opt-summary", "liquidation-orders", "instruments", "estimated-price")
"""Channels of more than one instrument: what they are of stands in the channel's name, behind a colon."""


class OkxVenue(Venue):
    """OKX v5, public channels."""

    code: ClassVar[str] = "OKX"
    title: ClassVar[str] = "OKX v5"
    dialect: Dialect = DIALECT
    limits: ClassVar[Limits] = Limits(
        channels_per_link=90,
        channels_per_message=50,
        messages=Quota(amount=480, per_s=3600.0),
        connects=Quota(amount=3, per_s=1.0),
        weight=Quota(amount=20, per_s=2.0),
    )
    url: ClassVar[str] = "wss://ws.okx.com:8443"
    rest_url: ClassVar[str] = "https://www.okx.com"
    endpoints: ClassVar[dict[str, str]] = {"": "/ws/v5/public"}
    streams: ClassVar[tuple[str, ...]] = (*CHANNELS, "liquidation", "greeks", "status")
    ping_interval_s: ClassVar[float] = 25.0
    clock: ClassVar[ClockReading | None] = ClockReading(path="data.0.ts", unit="ms")
    trade_history: ClassVar[TradeHistory | None] = TradeHistory(
        backwards=True, page=100, pages_max=50, reach="each match of the last three months"
    )
    proof: ClassVar[str] = (
        "prevSeqId of each book message is the seqId of the one before, for each instrument; a checksum of 25 levels "
        "where it is not 0"
    )

    def listing(self) -> Sequence[Request]:
        """Ask for each type's list; that of options needs the families' names first."""
        wanted = [kind for word, kind in TYPES.items() if self._wants(word)]
        if self._wants(INDEX) and not set(wanted) - {"SPOT"}:
            wanted.append("SWAP")
        lists = [self._request(f"instruments {kind}", f"{INSTRUMENTS}?instType={kind}") for kind in wanted]
        if "OPTION" in wanted:
            lists[-1] = self._request("instruments OPTION", FAMILIES)
        return lists

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a list of instruments; one of contracts also says which indices there are."""
        if urlsplit(request.url).path.endswith("/underlying"):
            _ = _families(body)
            return []
        answer = wire.instruments.decode(body)
        _check(answer.code, answer.msg)
        kinds = [kind for word, kind in TYPES.items() if self._wants(word)]
        chosen = [each for each in answer.data if each.inst_type in kinds]
        found = [entry for each in chosen if (entry := listed_from(each)) is not None]
        indices = dict.fromkeys(each.uly for each in answer.data if each.uly)
        return [*found, *(index for uly in indices if (index := index_from(uly)) is not None)]

    def next_page(self, request: Request, body: bytes) -> Request | None:
        """Ask for the options of one family after the other."""
        parts = urlsplit(request.url)
        if parts.path.endswith("/underlying"):
            rest = _families(body)
        else:
            rest = [name for names in parse_qs(parts.fragment).get("then", []) for name in names.split(",")]
        if not rest:
            return None
        after = f"#then={','.join(rest[1:])}" if rest[1:] else ""
        return self._request(
            f"instruments OPTION {rest[0]}", f"{INSTRUMENTS}?instType=OPTION&instFamily={rest[0]}{after}"
        )

    def channels(self, listed: Listed) -> Sequence[Channel]:
        """Say which channels an instrument has."""
        wanted = self.config.streams
        if listed.market == INDEX:
            return [Channel("index-tickers", listed.native, INDEX)] if {"mark", "ticker"} & set(wanted) else []
        kind = kind_of(listed.native)
        return [
            Channel(name, listed.native, book=stream == "book")
            for stream, (name, kinds) in CHANNELS.items()
            if stream in wanted and (kind in kinds.split() or (stream == "funding" and "XPERP" in listed.native))
        ]

    def market_channels(self, listed: Sequence[Listed]) -> Sequence[Channel]:
        """Say which channels tell of many instruments: greeks of a family, liquidations and states of a type."""
        wanted = self.config.streams
        kinds = list(dict.fromkeys(kind_of(each.native) for each in listed if each.market != INDEX))
        found = []
        if "greeks" in wanted:
            families = dict.fromkeys(family_of(each.native) for each in listed if each.asset_class == "option")
            found += [Channel(f"opt-summary:{family}") for family in families]
        if "liquidation" in wanted:
            found += [Channel(f"liquidation-orders:{kind}") for kind in kinds if kind in {"SWAP", "FUTURES"}]
        if "status" in wanted:
            found += [Channel(f"instruments:{kind}") for kind in kinds]
            found.append(Channel("status"))
        return found

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one frame for all of them."""
        return [_operation("subscribe", channels)]

    def unsubscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write one frame for all of them."""
        return [_operation("unsubscribe", channels)]

    def ping(self) -> bytes | None:
        """Write the text that is answered by ``pong``."""
        return b"ping"

    def cold(self, frame: bytes, market: str) -> Sequence[Happening]:
        """Read an event, or a push of a channel that tells no prices."""
        del market
        if frame == b"pong":
            return [Alive()]
        found = wire.event.decode(frame)
        if found.event:
            return [_event(found)]
        if found.arg is None:
            return [Unknown("expected an event or a channel's push, found neither")]
        if found.arg.channel == "instruments":
            return list(_changes(wire.changed.decode(found.data)))
        if found.arg.channel == "status":
            return [_maintenance(each) for each in wire.maintenance.decode(found.data)]
        return [Unknown(f"channel {found.arg.channel} which was not asked for")]

    def trades_request(self, listed: Listed, after: Print, before: Print | None) -> Request | None:
        """Ask for the matches before an id (``after`` in the venue's words), or the newest."""
        del after
        older = "" if before is None else f"&after={before.ident - before.covers + 1}"
        return self._request("trades", f"/api/v5/market/history-trades?instId={listed.native}&type=1&limit=100{older}")

    def probe_request(self) -> Request | None:
        """Ask for the venue's time."""
        return self._request("probe", "/api/v5/public/time")

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from what a recorder subscribed to: OKX's names say what they are."""
        del addresses
        names = dict.fromkeys((argument.channel, argument.inst_id) for argument in _arguments(sent) if argument.inst_id)
        found = [index_from(name) if channel == "index-tickers" else named(name) for channel, name in names]
        found = found or [from_symbol(symbol) for symbol in instruments]
        return [each for each in found if each is not None]

    def _wants(self, word: str) -> bool:
        return not self.config.markets or word in self.config.markets

    def _request(self, purpose: str, path: str) -> Request:
        return Request(purpose=purpose, url=(self.config.rest_url or self.rest_url).rstrip("/") + path)


# ------------------------------------------------------------------ messages


def _operation(word: str, channels: Sequence[Channel]) -> bytes:
    return msgspec.json.encode({"op": word, "args": [_argument(channel) for channel in channels]})


def _argument(channel: Channel) -> dict[str, str]:
    name, _, setting = channel.name.partition(":")
    if setting:
        return {"channel": name, "instFamily" if name == "opt-summary" else "instType": setting}
    return {"channel": name, "instId": channel.native} if channel.native else {"channel": name}


def _channel(argument: wire.Argument) -> Channel:
    """Return the channel that an argument stands for."""
    if argument.inst_id:
        market = INDEX if argument.channel == "index-tickers" else ""
        return Channel(argument.channel, argument.inst_id, market, book=argument.channel in BOOKS)
    setting = argument.inst_family or argument.inst_type
    return Channel(f"{argument.channel}:{setting}" if setting else argument.channel)


def _event(found: wire.Event) -> Happening:
    """Read an answer to what we sent, or a notice."""
    if found.event == "subscribe" and found.arg is not None:
        return Acknowledged([_channel(found.arg)])
    if found.event == "error":
        blamed = REFUSED.search(found.msg)
        reason = f"error {found.code}: {found.msg}"
        if blamed is None:
            return Refused(reason)
        name, of = blamed.groups()
        return Refused(reason, Channel(f"{name}:{of}") if name in SETTINGS else Channel(name, of, book=name in BOOKS))
    if found.event == "notice":
        return Leaving(f"notice {found.code}: {found.msg}")
    if found.event == "unsubscribe" or found.event.startswith("channel-conn-count"):
        return Alive()
    return Unknown(f"event {found.event} which was not asked for")


def _changes(entries: Sequence[wire.Instrument]) -> Iterable[Happening]:
    """Say what a push of the instruments' channel says; a few entries may be new listings."""
    for entry in entries:
        yield Status(entry.inst_id, state_of(entry), reason=f"OKX: {entry.state}")
    yield from strange("state", (entry.state for entry in entries), STATES)
    if len(entries) <= CHANGES_MAX:
        yield Relist(f"{len(entries)} instruments changed")


def _maintenance(row: wire.Maintenance) -> Happening:
    """Say what an announcement means: after a maintenance the instruments are listed anew."""
    return Relist(f"maintenance over: {row.title}") if row.state == "completed" else Alive()


def _arguments(sent: Sequence[str]) -> Iterable[wire.Argument]:
    """Yield the channels in a recorder's own frames."""
    for frame in sent:
        try:
            operation = msgspec.json.decode(frame, type=Operation)
        except msgspec.MsgspecError:
            continue
        if operation.op == "subscribe":
            yield from operation.args


class Operation(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    op: str
    args: list[wire.Argument] = []


def _families(body: bytes) -> list[str]:
    answer = wire.families.decode(body)
    _check(answer.code, answer.msg)
    return [name for names in answer.data for name in names if name]


def _check(code: str, text: str) -> None:
    if code != "0":
        raise ValueError(f"expected a list of instruments, found error {code}: {text}")
