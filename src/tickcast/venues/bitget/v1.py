"""Bitget v1, as recorded until 2023: decode-only.

Spot and futures had an address each; the words for them are ``sp`` and ``mc``. Books have no numbers, but a checksum in
every message; trades have no ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final
from urllib.parse import urlsplit

import msgspec

from tickcast.model.record import Kind
from tickcast.venues.base import Request
from tickcast.venues.bitget import wire
from tickcast.venues.bitget.dialect import DAY, SIDE, SNAPSHOT, SPOT
from tickcast.venues.bitget.names import contract_from, from_symbol, named, pair_from
from tickcast.venues.bitget.venue import BitgetVenue
from tickcast.venues.declared.dialect import (
    Book,
    BookRule,
    Dialect,
    Emit,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Time,
    Trades,
)
from tickcast.venues.declared.venue import Channel, Listed

MIX: Final = "mix"
"""Namespace of all futures: their names say in what they are margined."""
WORDS: Final[Mapping[str, str]] = {"sp": SPOT, "mc": MIX}
KEY: Final = Key(path="/arg.instId")
LEVELS: Final = Levels(bids="bids", asks="asks")
PROVED: Final = BookRule(chain="none", snapshot="stream", checksum="okx")
FUTURES: Final = (
    *DAY,
    Measure(kind=Kind.MARK, path="markPrice"),
    Measure(kind=Kind.INDEX, path="indexPrice"),
    Measure(kind=Kind.FUNDING, path="capitalRate"),
    Measure(kind=Kind.FUNDING_TIME, path="nextSettleTime", unit="ms"),
    Measure(kind=Kind.OPEN_INTEREST, path="holding"),
)
QUOTE_FIELDS: Final = (
    "instId", "last", "bestAsk", "bestBid", "bidSz", "askSz", "priceChangePercent", "labeId", "openUtc", "chgUTC",
    "ts", "systemTime", "symbolId", "deliveryPrice",
)  # fmt: skip


def pushed(word: str, *channels: str) -> tuple[Match, ...]:
    """Match pushes of a market's channels."""
    return (
        Match(path="arg.channel", equals=channels),
        Match(path="arg.instType", equals=(word, word.upper())),
        Match(path="data", present=True),
    )


def declared(word: str) -> Sequence[Message]:
    """Declare the channels of a market."""
    is_spot = WORDS[word] == SPOT
    time = Time(path="ts", unit="ms")
    emits: Mapping[tuple[str, ...], Emit] = {
        ("books",): Book(key=KEY, levels=LEVELS, rule=PROVED, snapshot=SNAPSHOT, checksum="checksum", time=time),
        ("trade", "tradeNew"): Trades(
            key=KEY,
            price="1",
            size="2",
            aggressor=msgspec.structs.replace(SIDE, path="3"),
            time=Time(path="0", unit="ms"),
            history=SNAPSHOT,
        ),
        ("ticker",): Measures(
            key=KEY,
            values=DAY if is_spot else FUTURES,
            time=time if is_spot else Time(path="systemTime", unit="ms"),
        ),
        ("books5", "books15", "books1"): Book(
            key=KEY, levels=LEVELS, rule=BookRule(chain="none", snapshot="every"), time=time
        ),
    }
    return [
        Message(
            name=channels[0],
            when=pushed(word, *channels),
            rows="data",
            emits=(emit,),
            market=WORDS[word],
            newest_first=isinstance(emit, Trades),
            fields=QUOTE_FIELDS if channels[0] == "ticker" else ("checksum",) if isinstance(emit, Book) else (),
        )
        for channels, emit in emits.items()
    ]


class BitgetV1Venue(BitgetVenue):
    """Bitget v1: reads recordings."""

    title: ClassVar[str] = "Bitget v1"
    dialect: Dialect = Dialect(
        messages=(
            *(message for word in WORDS for message in declared(word)),
            Message(
                name="candles", when=(Match(path="arg.channel", prefix="candle"), Match(path="data", present=True))
            ),
        ),
        plain=("pong",),
    )

    def listing(self) -> Sequence[Request]:
        """Name the lists that recordings hold."""
        return [
            self._request("instruments spot", "/api/spot/v1/public/products"),
            self._request("instruments mix", "/api/mix/v1/market/contracts"),
        ]

    def listed(self, request: Request, body: bytes) -> Sequence[Listed]:
        """Read a recorded list; its names end with the market's word, which the channels leave out."""
        if urlsplit(request.url).path.endswith("/products"):
            return [found for entry in _products(body) if (found := pair_from(entry)) is not None]
        return [found for entry in _contracts(body) if (found := self._contract(entry)) is not None]

    @staticmethod
    def _contract(entry: wire.Contract) -> Listed | None:
        native, _, word = entry.symbol.partition("_")
        market = {"DMCBL": "coin", "CMCBL": "usdc"}.get(word, "usdt")
        found = contract_from(msgspec.structs.replace(entry, symbol=native), market)
        return None if found is None else _mixed(found)

    def recorded(self, addresses: Sequence[str], sent: Sequence[str], instruments: Sequence[str]) -> Sequence[Listed]:
        """Read the instruments from what a recorder subscribed to."""
        del addresses
        chosen = [_named(argument) for frame in sent for argument in _arguments(frame)]
        found = [each for each in chosen if each is not None]
        if not found:
            listed = [from_symbol(symbol) for symbol in instruments]
            found = [each if each.market == SPOT else _mixed(each) for each in listed if each is not None]
        return list({(each.market, each.native): each for each in found}.values())

    def subscribe(self, channels: Sequence[Channel]) -> Sequence[bytes]:
        """Write what a recorder would have sent."""
        words = {market: word for word, market in WORDS.items()}
        arguments = [
            {"instType": words.get(one.market, ""), "channel": one.name, "instId": one.native} for one in channels
        ]
        return [msgspec.json.encode({"op": "subscribe", "args": arguments})]


def is_v1(frame: bytes) -> bool:
    """Whether a frame is of this dialect."""
    return b'"instType":"mc"' in frame or b'"instType":"sp"' in frame


def _mixed(listed: Listed) -> Listed:
    return replace(listed, market=MIX)


def _named(argument: wire.Argument) -> Listed | None:
    """Make an instrument of what a subscription names."""
    native = argument.inst_id
    if WORDS.get(argument.inst_type.lower()) == SPOT:
        return named(native, SPOT)
    market = "usdc" if native.endswith("PERP") else "usdt" if native.endswith("USDT") else "coin"
    found = named(native, market)
    return None if found is None else _mixed(found)


def _arguments(frame: str) -> Sequence[wire.Argument]:
    try:
        operation = wire.operation.decode(frame)
    except msgspec.MsgspecError:
        return []
    return operation.args if operation.op == "subscribe" else []


class _Product(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    symbol_name: str
    base_coin: str
    quote_coin: str
    price_scale: str = ""
    quantity_scale: str = ""
    status: str = "online"


class _Products(msgspec.Struct, frozen=True, gc=False):
    code: str
    data: list[_Product] = []


def _products(body: bytes) -> list[wire.Pair]:
    return [
        wire.Pair(
            symbol=each.symbol_name,
            base_coin=each.base_coin,
            quote_coin=each.quote_coin,
            price_precision=each.price_scale,
            quantity_precision=each.quantity_scale,
            status=each.status,
        )
        for each in msgspec.json.decode(body, type=_Products).data
    ]


class _Place(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    symbol: str
    base_coin: str
    quote_coin: str
    price_place: str = ""
    price_end_step: str = ""
    volume_place: str = ""


class _Places(msgspec.Struct, frozen=True, gc=False):
    code: str
    data: list[_Place] = []


def _contracts(body: bytes) -> list[wire.Contract]:
    return [
        wire.Contract(
            symbol=each.symbol,
            base_coin=each.base_coin,
            quote_coin=each.quote_coin,
            price_place=each.price_place,
            price_end_step=each.price_end_step,
            size_multiplier=f"1e-{each.volume_place}" if each.volume_place else "",
        )
        for each in msgspec.json.decode(body, type=_Places).data
    ]
