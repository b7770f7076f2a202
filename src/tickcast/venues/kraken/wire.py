"""Kraken's cold messages and lists, as far as we read them."""

from typing import Literal

import msgspec


class AssetPair(msgspec.Struct, frozen=True, gc=False):
    """One pair of ``GET /0/public/AssetPairs``."""

    wsname: str = ""
    """``XBT/USD``; absent = not streamed (dark pools of older lists)."""
    aclass_base: str = "currency"
    pair_decimals: int = 0
    lot_decimals: int = 8
    tick_size: str = ""
    """Absent in older lists: one of the last of ``pair_decimals``."""
    status: str = "online"


class AssetPairs(msgspec.Struct, frozen=True, gc=False):
    """The list; errors are texts such as ``EGeneral:Invalid arguments``."""

    error: list[str] = []
    result: dict[str, AssetPair] = {}


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What tells cold messages apart: answers have a ``method``, everything else a ``channel``."""

    channel: str = ""
    method: str = ""
    type: str = ""
    error: str = ""
    time_in: str = ""
    """Of an answer: when what it answers came."""


class AnswerResult(msgspec.Struct, frozen=True, gc=False):
    """What was asked for."""

    channel: str = ""
    symbol: str = ""
    depth: int = 0
    """Of books."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a subscription: one for each pair."""

    method: str
    success: bool = True
    error: str = ""
    symbol: str = ""
    """Of a refused one."""
    req_id: int = 0
    result: AnswerResult = AnswerResult()


class Pair(msgspec.Struct, frozen=True, gc=False):
    """A pair of the ``instrument`` channel."""

    symbol: str
    status: str


class Instruments(msgspec.Struct, frozen=True, gc=False):
    """What the ``instrument`` channel tells."""

    pairs: list[Pair] = []


class InstrumentMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of the ``instrument`` channel: a snapshot of all pairs, then those that changed."""

    type: Literal["snapshot", "update"]
    data: Instruments


class System(msgspec.Struct, frozen=True, gc=False):
    """The state of the whole exchange."""

    system: str


class SystemMessage(msgspec.Struct, frozen=True, gc=False):
    """A message of the ``status`` channel; one comes at the beginning of every connection."""

    data: list[System]


class V1Event(msgspec.Struct, frozen=True, gc=False):
    """Every v1 message that is no array."""

    event: str
    status: str = ""
    pair: str = ""
    channelName: str = ""  # noqa: N815 the venue's word
    errorMessage: str = ""  # noqa: N815


class V1Subscribe(msgspec.Struct, frozen=True, gc=False):
    """What a recorder's v1 subscription asked for."""

    pair: list[str] = []


class SubscribeParams(msgspec.Struct, frozen=True, gc=False):
    """What a recorder's subscription asked for."""

    channel: str = ""
    symbol: list[str] = []
    depth: int = 10


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """A recorder's v2 subscription."""

    method: str = ""
    params: SubscribeParams = SubscribeParams()
