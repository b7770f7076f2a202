"""What the address of a request asks for, in the dialects whose only message is that: events and long polls. Pure.

It comes to ``subscribe`` requests of the stream's protocol, which the session checks as it checks those of ``/stream``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tickcast.gateway import places
from tickcast.gateway.messages import Place
from tickcast.gateway.requests import CHANNELS, STATUS, is_pattern

PAIRS_MAX: Final = 100
"""Pairs of a query that are looked at."""
NOWHERE: Final = Place(epoch=0, seq=0)
"""No epoch was ever 0: who stands there is told so, and begins with a snapshot."""
_OF_CHANNELS: Final = {
    "rate": ("price", "book", "bars"),
    "fields": ("price",),
    "mode": ("price",),
    "depth": ("book",),
    "interval": ("bars",),
}
"""What is said of which channels."""


class Unclear(ValueError):  # noqa: N818  an answer to the client
    """An address that does not say what is meant; the text says what was expected and found."""


class Asked(NamedTuple):
    """What a client wants, and where it stands."""

    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    terms: Mapping[str, Any]
    strings: bool
    since: str | None
    """A place, or what claims to be one."""
    ticket: str
    each: bool = False
    """Ids on each trade, also where they are long."""

    @property
    def check(self) -> bytes:
        """Everything that a place depends on."""
        asked = (self.symbols, self.channels, sorted(self.terms.items()), self.strings)
        return msgspec.json.encode(asked)

    @property
    def has_places(self) -> bool:
        """Whether it can be said in a text where the client stands: which symbols a pattern means may change."""
        return not any(map(is_pattern, self.symbols)) and any(channel in places.KEPT for channel in self.channels)

    def requests(self) -> list[bytes]:
        """Write the requests of the stream's protocol, one a channel."""
        known = None if self.since is None else places.read(self.since, self.check, self.symbols, self.channels)
        return [self._request(channel, known) for channel in self.channels]

    def _request(self, channel: str, known: Mapping[tuple[str, str], Place] | None) -> bytes:
        if channel == STATUS:
            return msgspec.json.encode({"action": "subscribe", "channel": STATUS, "symbols": ["*"]})
        request: dict[str, Any] = {"action": "subscribe", "channel": channel, "symbols": self.symbols}
        request |= {name: value for name, value in self.terms.items() if channel in _OF_CHANNELS[name]}
        if known is not None and channel in places.KEPT:
            names = [symbol for symbol in self.symbols if not is_pattern(symbol)]
            request["resume"] = {symbol: known.get((channel, symbol), NOWHERE) for symbol in names}
        return msgspec.json.encode(request)

    def prefix(self, missing: Sequence[bool]) -> bytes:
        """Write the beginning of this client's places; ``missing``: which of its symbols are not watched."""
        return places.prefix(self.check, missing)


def query_of(target: bytes) -> dict[str, str]:
    """Return the query of a request's target; of a name that comes again the last value.

    Raises:
        Unclear: there are too many.
    """
    try:
        text = urlsplit(target.decode("latin-1")).query
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=PAIRS_MAX, errors="strict"))
    except ValueError as wrong:
        raise Unclear(f"expected at most {PAIRS_MAX} parameters in UTF-8: {str(wrong)[:80]}") from None


def read_asked(query: Mapping[str, str], *, channels: Sequence[str] = (), since: str | None = None) -> Asked:
    """Read what an address asks for.

    Args:
        query: of the address.
        channels: those of the dialect, where the address does not choose them.
        since: where the client says it stands.

    Raises:
        Unclear: a value is missing or has the wrong form; what the values mean the session checks.
    """
    symbols = _words(query.get("symbols", ""))
    wanted = tuple(channels) or _words(query.get("channels", "")) or ("price",)
    if not symbols and wanted != (STATUS,):
        raise Unclear("symbols: expected names, separated by commas, found none")
    known = (*CHANNELS, STATUS)
    stranger = next((channel for channel in wanted if channel not in known), None)
    if stranger is not None:
        raise Unclear(f"channels: expected some of {', '.join(known)}, separated by commas, found {stranger[:40]!r}")
    terms = _terms(query)
    for name in terms:
        if not any(channel in _OF_CHANNELS[name] for channel in wanted):
            raise Unclear(f"{name}: expected it with {' or '.join(_OF_CHANNELS[name])}, found {', '.join(wanted)}")
    numbers = query.get("numbers", "number")
    if numbers not in {"number", "string"}:
        raise Unclear(f"numbers: expected number or string, found {numbers[:40]!r}")
    ids = query.get("ids", "some")
    if ids not in {"some", "each"}:
        raise Unclear(f"ids: expected some or each, found {ids[:40]!r}")
    return Asked(symbols, wanted, terms, numbers == "string", since, query.get("ticket", ""), ids == "each")


def _terms(query: Mapping[str, str]) -> dict[str, Any]:
    terms: dict[str, Any] = {name: query[name] for name in ("mode", "interval") if name in query}
    if "fields" in query:
        terms["fields"] = list(_words(query["fields"]))
    for name, kind, expected in (("rate", float, "a number"), ("depth", int, "a whole number")):
        if name in query:
            try:
                terms[name] = kind(query[name])
            except ValueError:
                raise Unclear(f"{name}: expected {expected}, found {query[name][:40]!r}") from None
            if not math.isfinite(terms[name]):
                raise Unclear(f"{name}: expected {expected}, found {query[name][:40]!r}")
    return terms


def _words(text: str) -> tuple[str, ...]:
    """Words between commas, each once."""
    return tuple(dict.fromkeys(word for word in text.split(",") if word))
