"""Bitfinex's events (every message that is no array), as far as we read them."""

import msgspec


class Platform(msgspec.Struct, frozen=True, gc=False):
    """What the first event of a connection says of the exchange."""

    status: int = 1
    """1: it trades; 0: maintenance."""


class Event(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """All events in one: which fields there are depends on ``event``."""

    event: str
    channel: str = ""
    chan_id: int | None = None
    symbol: str = ""
    """``tBTCUSD``; of an error also what was asked for."""
    pair: str = ""
    key: str = ""
    """Of the channel ``status``: ``deriv:tBTCF0:USTF0``, ``liq:global``."""
    code: int | str = 0
    msg: str = ""
    status: str = ""
    """Of ``conf`` and ``unsubscribed``: ``OK``."""
    flags: int = 0
    platform: Platform | None = None


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A recorder's own frame."""

    event: str = ""
    channel: str = ""
    symbol: str = ""
    pair: str = ""
    key: str = ""


pairs = msgspec.json.Decoder(list[list[str]])
"""``GET /v2/conf/pub:list:pair:...``: one list for each list that was asked for."""
event = msgspec.json.Decoder(Event)
asked = msgspec.json.Decoder(Asked)
