"""What Binance's markets share: the envelope of combined streams, requests on a link, names of streams, weights."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from tickcast.venues.declared.dialect import Aggressor, Emit, Match, Message
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Happening, Leaving, Refused, Unknown

AGGRESSOR: Final = Aggressor(path="m", buyer=("false",), seller=("true",))
"""``m``: the buyer was the maker, so the seller was the aggressor."""
SUBSCRIBE: Final = 1
UNSUBSCRIBE: Final = 2
QUOTES: Final = re.compile(
    r"(.+?)(USDT|USDC|BUSD|(?<!^USD)TUSD|FDUSD|USDS|PAX|BIDR|BKRW|IDRT|BTC|ETH|BNB|TRX|XRP|DOGE|[A-Z]{3})$"
)
"""Divides a symbol where nothing says how: quote assets, the longest first."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What is no stream's message: answers to requests, errors, announcements."""

    id: int | str | None = None
    result: object = msgspec.UNSET
    error: object = None
    code: int | None = None
    msg: str = ""
    e: str = ""
    stream: str = ""


_reply: Final = msgspec.json.Decoder(Reply)


def combined_and_raw(
    name: str,
    *,
    event: str = "",
    when: Sequence[Match] = (),
    raw: Sequence[Match] = (),
    emits: tuple[Emit, ...] = (),
    fields: tuple[str, ...] = (),
) -> tuple[Message, Message]:
    """Declare a message as combined streams send it (in ``data``), and as raw streams do.

    Args:
        name: the stream's word.
        event: value of its ``e``; empty for messages without one, told by ``when`` and ``raw``.
        when: what tells the combined form.
        raw: what tells the raw form.
        emits: what its row says.
        fields: keys that are known and not read.
    """
    if event:
        when = (Match(path="data.e", equals=(event,)), *when)
        raw = (Match(path="e", equals=(event,)), *raw)
    return (
        Message(name=name, when=tuple(when), rows="data", emits=emits, fields=fields),
        Message(name=f"{name} (raw)", when=tuple(raw), emits=emits, fields=fields),
    )


def request(method: str, number: int, channels: Iterable[Channel]) -> bytes:
    """Write a request on a link; streams are named by the symbol in lower case, and the stream's word."""
    names = [f"{one.native.lower()}@{one.name}" if one.native else one.name for one in channels]
    return msgspec.json.encode({"method": method, "params": names, "id": number})


def read_reply(frame: bytes) -> list[Happening]:
    """Read a frame that is no declared message.

    Raises:
        ValueError: it is no JSON object.
    """
    reply = _reply.decode(frame)
    if reply.e == "serverShutdown":
        return [Leaving("the venue announces its shutdown")]
    if reply.error is not None or reply.code is not None:
        return [Refused(f"the venue answers with an error: {reply.error or f'{reply.code} {reply.msg}'}")]
    if reply.result is not msgspec.UNSET and not reply.stream:
        return [Acknowledged() if reply.id == SUBSCRIBE else Alive()]
    if reply.stream:
        return [Unknown(f"message of stream {reply.stream[:64]!r}, which was not asked for")]
    return [Unknown("expected a stream's message, found another object")]


def weight_of(limit: int, weights: Sequence[tuple[int, int]]) -> int:
    """Weigh a book over REST of so many levels; ``weights``: up to so many levels, the weight."""
    return next((weight for most, weight in weights if limit <= most), weights[-1][1])


def recorded_natives(addresses: Iterable[str], sent: Iterable[str]) -> list[str]:
    """Return the symbols to whose streams a recorded session subscribed, by addresses or by requests."""
    names = [name for address in addresses for name in _named_in(address)]
    for frame in sent:
        try:
            asked: Any = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            continue
        if isinstance(asked, dict) and isinstance(asked.get("params"), list):
            names.extend(str(name) for name in asked["params"])
    return sorted({name.partition("@")[0].upper() for name in names if "@" in name and not name.startswith("!")})


def _named_in(address: str) -> list[str]:
    parts = urlsplit(address)
    found = re.search(r"streams=([^&]*)", unquote(parts.query))
    names = found[1] if found else unquote(parts.path).partition("/ws/")[2]
    return [name for name in names.split("/") if name]


def divided(native: str, pairs: Mapping[str, str]) -> tuple[str, str]:
    """Divide a symbol into base and quote asset; ``pairs``: what is known, such as ``BTCUSDT`` to ``BTC-USDT``."""
    if (pair := pairs.get(native)) is not None:
        base, _, quote = pair.partition("-")
        return base, quote
    found = QUOTES.match(native)
    return (found[1], found[2]) if found else (native, "X")
