"""The protocol state of one client: a request in; hub calls and replies out. No I/O and no clock.

Rules that hold everything together:

- A request is checked completely before anything of it is applied; a refusal
  (:class:`~tickcast.gateway.requests.Refused`) applies nothing.
- A reply is handed to the hub after the calls it reports on and before the flush that sends what they cause: the hub
  sends replies in front of the data that follows from them.
- Requests are paid from a credit of ``requests_per_second``, refilled evenly. Refused requests cost too: who keeps
  sending far below zero is closed.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from tickcast.gateway import messages
from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.gateway.config import Config
from tickcast.gateway.requests import (
    CHANNEL_MODES,
    CHANNEL_NAMES,
    DEFAULT_RATE,
    MODE_NAMES,
    MODES,
    Refused,
    Terms,
    channel_number,
    convert,
    decode,
    has_terms,
    marks_of,
    peek_id,
    rate_class,
    request_id_of,
)
from tickcast.gateway.timestamps import timestamp
from tickcast.ports import Fanout
from tickcast.ports import Standing as HubStanding
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

FLOOD_FACTOR: Final = 5
"""A client whose debt reaches this many seconds' worth of requests is closed."""
SYMBOLS_NAMED_MAX: Final = 100
"""Symbols that an error lists at most."""


class Desk:
    """What all sessions share."""

    __slots__ = ("config", "field_bits", "field_names", "hub")

    def __init__(self, hub: Fanout, config: Config, field_names: tuple[str, ...]) -> None:
        """``field_names``: of ``price``, in the order of the bits of the core's field mask."""
        self.hub = hub
        self.config = config
        self.field_names = field_names
        self.field_bits = {name: 1 << place for place, name in enumerate(field_names)}

    def mask(self, fields: list[str] | None) -> int:
        """Mask of field names; 0 = all."""
        if fields is None:
            return 0
        unknown = [name for name in fields if name not in self.field_bits]
        if unknown or not fields:
            found = f"found {unknown[0][:40]!r}" if unknown else "found none"
            raise Refused(
                ErrorCode.UNKNOWN_FIELD, f"fields: expected some of {', '.join(self.field_names)}, or null; {found}"
            )
        mask = 0
        for name in fields:
            mask |= self.field_bits[name]
        return mask

    def names(self, mask: int) -> list[str] | None:
        """Field names of a mask, in wire order; None = all."""
        names = [name for name in self.field_names if mask & self.field_bits[name]]
        return names if 0 < len(names) < len(self.field_names) else None


class Session:
    """One client's requests."""

    __slots__ = ("_batch", "_client", "_credit", "_credited_ns", "_desk", "_strings")

    def __init__(self, desk: Desk, client: int, now_ns: int, *, strings: bool = False, batch: bool = False) -> None:
        """``client`` is the hub's number; ``strings`` and ``batch`` come from the address of the handshake."""
        self._desk = desk
        self._client = client
        self._credit = float(desk.config.requests_per_second)
        self._credited_ns = now_ns
        self._strings = strings
        self._batch = batch
        if strings or batch:
            desk.hub.configure(client, codec=_codec(strings=strings), batch=batch)

    def request(self, text: bytes, now_ns: int) -> CloseCode | None:
        """Serve a text message; what is returned is the reason to close the connection."""
        if not self._pay(now_ns):
            if self._credit < -FLOOD_FACTOR * self._desk.config.requests_per_second:
                return CloseCode.FLOOD
            limit = self._desk.config.requests_per_second
            refused = Refused(ErrorCode.TOO_MANY_REQUESTS, f"too many requests: {limit} a second allowed")
            self._refuse(refused, peek_id(text))
            return None
        request_id: messages.RequestId | None = None
        try:
            raw = decode(text)
            request_id = request_id_of(raw)
            self._serve(raw, now_ns)
        except Refused as refused:
            self._refuse(refused, request_id)
        except Exception:
            log.exception("request failed", client=self._client)
            self._refuse(Refused(ErrorCode.INTERNAL, "we could not serve this request; try again later"), request_id)
        return None

    def binary(self, now_ns: int) -> CloseCode | None:
        """Refuse a binary message: the codec of this connection is JSON."""
        if not self._pay(now_ns):
            return self.request(b"", now_ns)
        self._refuse(
            Refused(ErrorCode.BINARY_MESSAGE, "expected a text message with a JSON object, found a binary message"),
            None,
        )
        return None

    def ping(self, payload: bytes, now_ns: int) -> None:
        """Answer a protocol ping; pings beyond the rate of requests get no answer."""
        if self._pay(now_ns):
            self._desk.hub.control(self._client, 10, payload)

    def heartbeat(self, now_ns: int) -> None:
        """Tell the client that we are here."""
        self._reply(messages.Heartbeat(server_timestamp=timestamp(now_ns)))

    # ------------------------------------------------------------------ replies

    def _reply(self, reply: messages.Reply) -> None:
        self._desk.hub.reply(self._client, msgspec.json.encode(reply))

    def _refuse(self, refused: Refused, request_id: messages.RequestId | None) -> None:
        self._reply(
            messages.Error(id=request_id, code=int(refused.code), reason=refused.reason, symbols=refused.symbols)
        )

    def _pay(self, now_ns: int) -> bool:
        limit = self._desk.config.requests_per_second
        elapsed_s = max(0, now_ns - self._credited_ns) / 1e9
        self._credit = min(float(limit), self._credit + elapsed_s * limit) - 1.0
        self._credited_ns = now_ns
        return self._credit >= 0

    # ------------------------------------------------------------------ requests

    def _serve(self, raw: dict[str, Any], now_ns: int) -> None:
        action = raw.get("action")
        wanted = messages.REQUESTS.get(action) if isinstance(action, str) else None
        if wanted is None:
            found = repr(action)[:60] if "action" in raw else "none"
            raise Refused(
                ErrorCode.UNKNOWN_ACTION, f"action: expected one of {', '.join(messages.REQUESTS)}; found {found}"
            )
        match convert(raw, wanted):
            case messages.Subscribe() as request:
                self._subscribe(request, now_ns)
            case messages.Reconnect() as request:
                self._reconnect(request, now_ns)
            case messages.Unsubscribe() as request:
                self._unsubscribe(request)
            case messages.Set() as request:
                self._set(request, now_ns)
            case messages.Ping() as request:
                self._reply(messages.Pong(id=request.id, server_timestamp=timestamp(now_ns)))
            case messages.Sync() as request:
                self._sync(request, now_ns)

    def _subscribe(self, request: messages.Subscribe, now_ns: int) -> None:
        channel = channel_number(request.channel)
        terms = self._terms(request)
        symbols = list(dict.fromkeys(request.symbols))
        if not symbols:
            raise Refused(ErrorCode.INVALID_REQUEST, "symbols: expected at least one, found none")
        marks = marks_of(request.resume, request.last_seen)
        strangers = [symbol for symbol in marks if symbol not in set(symbols)]
        if strangers:
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"resume, last_seen: expected names in symbols, found {strangers[0][:96]!r}"
            )
        self._check_room(channel, symbols)
        self._configure(request)
        hub = self._desk.hub
        found = {symbol: hub.subscribe(self._client, channel, symbol, *terms, now_ns) for symbol in symbols}
        recovered = {symbol: self._resume(channel, symbol, mark, now_ns) for symbol, mark in marks.items()}
        terms = self._in_force(channel, symbols, terms)
        fields = self._desk.names(terms.fields) if channel == 0 else UNSET
        self._reply(
            messages.Subscribed(
                id=request.id,
                channel=request.channel,
                symbols={symbol: _standing(standing) for symbol, standing in found.items()},
                rate=terms.rate,
                mode=MODE_NAMES[terms.mode],
                fields=fields,
            )
        )
        if marks:
            self._reply(self._resumed(request, recovered, found, terms))

    def _reconnect(self, request: messages.Reconnect, now_ns: int) -> None:
        channel = channel_number(request.channel)
        terms = self._terms(request)
        marks = marks_of(request.resume, request.last_seen)
        if not marks:
            raise Refused(ErrorCode.INVALID_REQUEST, "expected symbols in resume or last_seen, found none")
        self._check_room(channel, marks)
        self._configure(request)
        hub = self._desk.hub
        watched = {} if has_terms(request) else self._watched(channel)
        found: dict[str, HubStanding | None] = {}
        recovered: dict[str, str | None] = {}
        for symbol, mark in marks.items():
            found[symbol] = hub.subscribe(self._client, channel, symbol, *watched.get(symbol, terms), now_ns)
            recovered[symbol] = self._resume(channel, symbol, mark, now_ns)
        terms = self._in_force(channel, marks, terms)
        self._reply(self._resumed(request, recovered, found, terms))

    def _unsubscribe(self, request: messages.Unsubscribe) -> None:
        channel = channel_number(request.channel)
        hub = self._desk.hub
        gone = [
            symbol for symbol in dict.fromkeys(request.symbols) if hub.unsubscribe(self._client, channel, symbol)
        ]  # fmt: skip
        self._reply(messages.Unsubscribed(id=request.id, channel=request.channel, symbols=gone))

    def _set(self, request: messages.Set, now_ns: int) -> None:
        channel = channel_number(request.channel)
        asked = self._terms(request)
        self._configure(request)
        watched = self._watched(channel)
        if has_terms(request):
            for symbol, now in watched.items():
                mode = now.mode if request.mode is UNSET else asked.mode
                rate = now.rate if request.rate is UNSET else asked.rate
                fields = now.fields if request.fields is UNSET else asked.fields
                if mode == MODES["all"]:
                    rate = 0
                self._desk.hub.subscribe(self._client, channel, symbol, rate, fields, mode, now_ns)
        # What the hub says now, not what was asked; the most common terms first.
        groups = Counter(self._watched(channel).values()).most_common()
        most = groups[0][0] if groups else self._terms(messages.Set(channel=request.channel))
        self._reply(
            messages.Ok(
                id=request.id,
                action="set",
                channel=request.channel,
                symbols=len(watched),
                numbers="string" if self._strings else "number",
                batch=self._batch,
                rate=most.rate,
                mode=MODE_NAMES[most.mode],
                fields=self._desk.names(most.fields) if request.channel == "price" else UNSET,
                terms=[self._in_words(request.channel, terms, count) for terms, count in groups]
                if len(groups) > 1
                else UNSET,
            )
        )

    def _in_words(self, channel: str, terms: Terms, symbols: int) -> messages.TermsInForce:
        return messages.TermsInForce(
            symbols=symbols,
            rate=terms.rate,
            mode=MODE_NAMES[terms.mode],
            fields=self._desk.names(terms.fields) if channel == "price" else UNSET,
        )

    def _sync(self, request: messages.Sync, now_ns: int) -> None:
        channels: dict[str, dict[str, messages.Counters]] = {}
        for channel, symbol, *counters in self._desk.hub.sync(self._client, now_ns):
            channels.setdefault(CHANNEL_NAMES[channel], {})[symbol] = messages.Counters(*counters)
        self._reply(messages.Synced(id=request.id, channels=channels))

    # ------------------------------------------------------------------ parts of requests

    def _terms(self, request: messages.Channelled) -> Terms:
        """Terms of a request, defaults filled in."""
        modes = CHANNEL_MODES[request.channel]
        mode = modes[0] if request.mode is UNSET else request.mode
        if mode not in modes:
            raise Refused(
                ErrorCode.UNKNOWN_MODE, f"mode of {request.channel}: expected {' or '.join(modes)}, found {mode[:40]!r}"
            )
        rate = DEFAULT_RATE[mode] if request.rate is UNSET else rate_class(request.rate)
        if mode == "all":
            rate = 0  # every update goes out as it comes
        if request.fields is UNSET or (request.fields is None and request.channel != "price"):
            return Terms(rate, 0, MODES[mode])
        if request.channel != "price":
            raise Refused(ErrorCode.UNKNOWN_FIELD, f"fields: expected none in channel {request.channel}")
        return Terms(rate, self._desk.mask(request.fields), MODES[mode])

    def _watched(self, channel: int) -> dict[str, Terms]:
        return {
            symbol: Terms(*terms)
            for number, symbol, *terms in self._desk.hub.subscriptions(self._client)
            if number == channel
        }

    def _check_room(self, channel: int, symbols: Iterable[str]) -> None:
        allowed = self._desk.config.symbols_max
        watched = self._watched(channel)
        new = [symbol for symbol in symbols if symbol not in watched]
        asked = len(watched) + len(new)
        if asked > allowed:
            over = new[max(0, allowed - len(watched)) :][:SYMBOLS_NAMED_MAX]
            raise Refused(ErrorCode.TOO_MANY_SYMBOLS, f"too many symbols: {asked} asked, {allowed} allowed", over)

    def _configure(self, request: messages.Channelled) -> None:
        strings = self._strings if request.numbers is UNSET else request.numbers == "string"
        batch = self._batch if request.batch is UNSET else request.batch
        if (strings, batch) != (self._strings, self._batch):
            self._strings, self._batch = strings, batch
            self._desk.hub.configure(self._client, codec=_codec(strings=strings), batch=batch)

    def _in_force(self, channel: int, symbols: Iterable[str], asked: Terms) -> Terms:
        """Terms that the hub really set: it keeps a bounded list of field sets and gives all fields beyond it."""
        if not asked.fields:
            return asked
        watched = self._watched(channel)
        return next((watched[symbol] for symbol in symbols if symbol in watched), asked)

    def _resume(self, channel: int, symbol: str, mark: messages.Place | tuple[int, int], now_ns: int) -> str | None:
        if isinstance(mark, messages.Place):
            return self._desk.hub.resume(self._client, channel, symbol, now_ns, epoch=mark.epoch, seq=mark.seq)
        last_seen_ns, precision_ns = mark
        return self._desk.hub.resume(
            self._client, channel, symbol, now_ns, last_seen_ns=last_seen_ns, precision_ns=precision_ns
        )

    def _resumed(
        self,
        request: messages.Channelled,
        recovered: dict[str, str | None],
        found: dict[str, HubStanding | None],
        terms: Terms,
    ) -> messages.Resumed:
        symbols: dict[str, messages.Recovery] = {}
        for symbol, reason in recovered.items():
            standing = found[symbol]
            if standing is None:
                symbols[symbol] = messages.Recovery(recovered=False, reason="unknown", state="no_such_symbol")
                continue
            symbols[symbol] = messages.Recovery(
                recovered=reason is None,
                reason=UNSET if reason is None else reason,
                state=standing.state,
                epoch=standing.epoch,
                seq=standing.seq,
            )
        return messages.Resumed(
            id=request.id,
            channel=request.channel,
            symbols=symbols,
            rate=terms.rate,
            mode=MODE_NAMES[terms.mode],
            fields=self._desk.names(terms.fields) if request.channel == "price" else UNSET,
        )


def _codec(*, strings: bool) -> int:
    return 1 if strings else 0


def _standing(standing: HubStanding | None) -> messages.Standing:
    if standing is None:
        return messages.Standing("no_such_symbol")
    return messages.Standing(standing.state, standing.epoch, standing.seq)
