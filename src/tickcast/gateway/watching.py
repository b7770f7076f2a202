"""What one client watches: checked requests in, hub calls and replies out. No I/O and no clock.

A request is checked completely before anything of it is applied. Depth of a book and interval of a bar are channels of
their own in the core; here they are terms of ``book`` and ``bars``.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import UNSET, UnsetType

from tickcast.gateway import messages
from tickcast.gateway.auth.access import NOT_ENTITLED, Access
from tickcast.gateway.codecs import Codec
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.desk import Desk
from tickcast.gateway.requests import (
    CHANNEL_MODES,
    CHANNEL_NAMES,
    DEFAULT_DEPTH,
    DEFAULT_RATE,
    DEPTHS,
    MODES,
    STATUS,
    Refused,
    Terms,
    depth_of,
    has_terms,
    interval_of,
    is_pattern,
    marks_of,
    mode_name,
    number_of,
    numbers_of,
    rate_class,
)
from tickcast.ports import Standing as HubStanding
from tickcast.ports import Want

MATCHED_MAX: Final = 50_000
"""Symbols of a pattern that are looked at for those in a client's scope."""
SYMBOLS_NAMED_MAX: Final = 100
"""Symbols that an error lists at most."""
PRICE: Final = 0
Mark = messages.Place | tuple[int, int]
Found = HubStanding | Literal["not_entitled"] | None
"""What was found of a symbol: where it stands; None: there is none such; or that it is outside the client's scope."""


class Watching:
    """One client's subscriptions."""

    __slots__ = ("_access", "_client", "_codec", "_desk", "_patterns")

    def __init__(self, desk: Desk, client: int, codec: Codec, access: Access) -> None:
        """``client`` is the hub's number; ``codec`` says what acks must tell, ``access`` what may be watched."""
        self._access = access
        self._codec = codec
        self._desk = desk
        self._client = client
        self._patterns: dict[tuple[str, str], Terms] | None = None
        """By channel and pattern; most clients have none."""

    # ------------------------------------------------------------------ what a request needs

    def needs(self, request: messages.Request) -> tuple[list[Want], list[str]]:
        """Subscriptions and patterns that a request is about, checked; where an owner has to be asked first."""
        if isinstance(request, messages.Subscribe) and request.channel != STATUS:
            terms = self._terms(request)
            marks = self._marks(request)
            names = [symbol for symbol in dict.fromkeys(request.symbols) if not is_pattern(symbol)]
            patterns = [symbol for symbol in dict.fromkeys(request.symbols) if is_pattern(symbol)]
            wants = [_want(terms, name, marks.get(name)) for name in names if self._may_watch(request.channel, name)]
            return wants, [pattern for pattern in patterns if self._may_match(request.channel, pattern)]
        if isinstance(request, messages.Reconnect) and request.channel != STATUS:
            terms = self._terms(request)
            marks = self._marks(request)
            return [
                _want(terms, name, mark) for name, mark in marks.items() if self._may_watch(request.channel, name)
            ], []
        return [], []

    def _may_watch(self, channel: str, symbol: str) -> bool:
        """Whether a symbol is in the client's scope, in a channel that is. Nobody is asked whether it exists."""
        return self._access.may_use(channel) and self._access.may_see(symbol)

    def _may_match(self, channel: str, pattern: str) -> bool:
        return self._access.may_use(channel) and self._access.may_ask(pattern)

    def wants_of(self, pattern: str, request: messages.Subscribe) -> list[Want]:
        """Subscriptions that a pattern of a request comes to."""
        terms = self._terms(request)
        return [_want(terms, name, None) for name in self._matching(request.channel, pattern)]

    # ------------------------------------------------------------------ requests

    def subscribe(self, request: messages.Subscribe, now_ns: int) -> list[messages.Reply]:
        """Watch symbols and patterns."""
        if request.channel == STATUS:
            return self._watch_status(request)
        terms = self._terms(request)
        if not request.symbols:
            raise Refused(ErrorCode.INVALID_REQUEST, "symbols: expected at least one, found none")
        marks = self._marks(request)
        strangers = [symbol for symbol in marks if symbol not in set(request.symbols)]
        if strangers:
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"resume, last_seen: expected names in symbols, found {strangers[0][:96]!r}"
            )
        asked = dict.fromkeys(request.symbols)
        patterns = {symbol: self._match(request.channel, symbol) for symbol in asked if is_pattern(symbol)}
        names = [name for name in request.symbols if not is_pattern(name)]
        symbols = list(dict.fromkeys([*names, *(name for found in patterns.values() for name in found)]))
        seen = {symbol for symbol in symbols if self._may_watch(request.channel, symbol)}
        self._check_room(request.channel, terms.number, [symbol for symbol in symbols if symbol in seen])
        found: dict[str, Found] = {
            symbol: self._begin(symbol, terms, now_ns) if symbol in seen else NOT_ENTITLED for symbol in symbols
        }
        recovered = {
            symbol: self._resume(terms.number, symbol, mark, now_ns) if symbol in seen else "unknown"
            for symbol, mark in marks.items()
        }
        for pattern in patterns:
            if self._may_match(request.channel, pattern):
                self._remember(request.channel, pattern, terms)
        terms = self._in_force(symbols, terms)
        replies: list[messages.Reply] = [self._subscribed(request.channel, terms, found, request.id, patterns)]
        if marks:
            replies.append(self._resumed(request, recovered, found, terms))
        return replies

    def reconnect(self, request: messages.Reconnect, now_ns: int) -> list[messages.Reply]:
        """Subscribe and resume."""
        if request.channel == STATUS:
            raise Refused(ErrorCode.UNKNOWN_CHANNEL, "channel: status is not resumed; subscribe to it again")
        terms = self._terms(request)
        marks = self._marks(request)
        if not marks:
            raise Refused(ErrorCode.INVALID_REQUEST, "expected symbols in resume or last_seen, found none")
        seen = {symbol for symbol in marks if self._may_watch(request.channel, symbol)}
        self._check_room(request.channel, terms.number, [symbol for symbol in marks if symbol in seen])
        watched = {} if has_terms(request) else self._watched(request.channel)
        found: dict[str, Found] = {}
        recovered: dict[str, str | None] = {}
        for symbol, mark in marks.items():
            if symbol not in seen:
                found[symbol], recovered[symbol] = NOT_ENTITLED, "unknown"
                continue
            in_force = watched.get((symbol, terms.number), terms)
            found[symbol] = self._begin(symbol, in_force, now_ns)
            recovered[symbol] = self._resume(in_force.number, symbol, mark, now_ns)
        terms = self._in_force(marks, terms)
        return [self._resumed(request, recovered, found, terms)]

    def unsubscribe(self, request: messages.Unsubscribe) -> list[messages.Reply]:
        """Stop watching symbols and patterns."""
        if request.channel == STATUS:
            gone = self._desk.status.forget(self._client, request.symbols)
            return [messages.Unsubscribed(id=request.id, channel=STATUS, symbols=gone)]
        numbers = numbers_of(request.channel)
        if request.interval is not UNSET:
            numbers = (number_of(request.channel, UNSET, request.interval),)
        gone = []
        for symbol in dict.fromkeys(request.symbols):
            names = self._forget(request.channel, symbol) if is_pattern(symbol) else (symbol,)
            gone += [name for name in names if self._end(name, numbers)]
            if is_pattern(symbol) and names:
                gone.append(symbol)
        return [messages.Unsubscribed(id=request.id, channel=request.channel, symbols=gone)]

    def check(self, request: messages.Set) -> None:
        """Refuse terms that the channel does not have."""
        self._terms(request)

    def set(
        self, request: messages.Set, now_ns: int, *, numbers: messages.Numbers, batch: bool
    ) -> list[messages.Reply]:
        """Change the terms of the channel's subscriptions; ``numbers`` and ``batch`` are those in force."""
        asked = self._terms(request)
        watched = self._watched(request.channel)
        if has_terms(request):
            for (symbol, _), now in watched.items():
                self._begin(symbol, _changed(request, now, asked), now_ns)
        # What the hub says now, not what was asked; the most common terms first.
        in_force = self._watched(request.channel)
        groups = Counter(in_force.values()).most_common()
        most = groups[0][0] if groups else self._terms(messages.Set(channel=request.channel))
        words = self._words(most)
        return [
            messages.Ok(
                id=request.id,
                action="set",
                channel=request.channel,
                symbols=len(in_force),
                numbers=numbers,
                batch=batch,
                rate=most.rate,
                mode=mode_name(most.number, most.mode),
                fields=words,
                depth=depth_of(most.number),
                interval=interval_of(most.number),
                terms=[self._in_words(terms, count) for terms, count in groups] if len(groups) > 1 else UNSET,
            )
        ]

    def sync(self, request: messages.Sync, now_ns: int) -> list[messages.Reply]:
        """Flush what is pending and count."""
        channels: dict[str, dict[str, messages.Counters]] = {}
        for number, symbol, *counters in self._desk.hub.sync(self._client, now_ns):
            interval = interval_of(number)
            channel = CHANNEL_NAMES[number] if interval is UNSET else f"{CHANNEL_NAMES[number]}:{interval}"
            channels.setdefault(channel, {})[symbol] = messages.Counters(*counters)
        return [messages.Synced(id=request.id, channels=channels)]

    def listed(self, symbols: Sequence[str], now_ns: int) -> list[messages.Reply]:
        """Symbols are new: those that fall under a pattern join, as far as there is room."""
        replies: list[messages.Reply] = []
        for (channel, pattern), terms in (self._patterns or {}).items():
            new = [symbol for symbol in self._access.seen(symbols) if self._desk.directory.matches(pattern, symbol)]
            try:
                self._check_room(channel, terms.number, new)
            except Refused:
                continue
            found: dict[str, Found] = {symbol: self._begin(symbol, terms, now_ns) for symbol in new}
            if found:
                replies.append(self._subscribed(channel, terms, found, None, {pattern: list(found)}))
        return replies

    def end(self) -> None:
        """The client is gone."""
        self._desk.status.forget(self._client, ["*"])
        self._desk.pattern_watchers.pop(self._client, None)

    # ------------------------------------------------------------------ patterns and status

    def _watch_status(self, request: messages.Subscribe) -> list[messages.Reply]:
        if not request.symbols:
            raise Refused(ErrorCode.INVALID_REQUEST, 'symbols: expected names of feeds or "*", found none')
        if has_terms(request) or request.resume or request.last_seen:
            raise Refused(ErrorCode.INVALID_REQUEST, "channel status has no rate, fields, mode, depth or resume")
        return list(self._desk.status.watch(self._client, request.symbols, request.id, access=self._access))

    def _matching(self, channel: str, pattern: str) -> list[str]:
        """Symbols in the client's scope that a pattern stands for; one more than allowed where there are too many.

        A pattern that cannot touch the scope is not looked up at all, so that its answer tells nothing.
        """
        if not self._may_match(channel, pattern):
            return []
        limit = self._desk.config.symbols_max
        if self._access.sees_all_of(pattern):
            return list(self._desk.directory.match(pattern, limit))
        return self._access.seen(self._desk.directory.match(pattern, max(limit, MATCHED_MAX)))[: limit + 1]

    def _match(self, channel: str, pattern: str) -> list[str]:
        limit = self._desk.config.symbols_max
        found = self._matching(channel, pattern)
        if len(found) > limit:
            raise Refused(
                ErrorCode.TOO_MANY_SYMBOLS, f"{pattern[:96]}: more than {limit} symbols; ask for fewer", [pattern[:96]]
            )
        return found

    def _remember(self, channel: str, pattern: str, terms: Terms) -> None:
        known = self._patterns = self._patterns or {}
        allowed = self._desk.config.patterns_max
        if (channel, pattern) not in known and len(known) >= allowed:
            return
        known[channel, pattern] = terms
        self._desk.pattern_watchers[self._client] = self

    def _forget(self, channel: str, pattern: str) -> list[str]:
        if self._patterns is None or self._patterns.pop((channel, pattern), None) is None:
            return []
        if not self._patterns:
            self._desk.pattern_watchers.pop(self._client, None)
        return [symbol for symbol, _ in self._watched(channel) if self._desk.directory.matches(pattern, symbol)]

    # ------------------------------------------------------------------ parts of requests

    def _terms(self, request: messages.Channelled) -> Terms:
        """Terms of a request, defaults filled in."""
        number = number_of(request.channel, request.depth, request.interval)
        if request.channel == "book":
            asked = DEFAULT_DEPTH if request.depth is UNSET else request.depth
            number = DEPTHS[self._access.depth(asked)]
        modes = CHANNEL_MODES[request.channel]
        mode = modes[0] if request.mode is UNSET else request.mode
        if mode not in modes:
            raise Refused(
                ErrorCode.UNKNOWN_MODE, f"mode of {request.channel}: expected {' or '.join(modes)}, found {mode[:40]!r}"
            )
        rate = self._access.rate(DEFAULT_RATE[request.channel] if request.rate is UNSET else rate_class(request.rate))
        if mode == "all" and "merge" in modes and self._access.scope.rate:
            raise Refused(
                ErrorCode.NOT_ENTITLED,
                f"mode all sends every update; you may have {self._access.scope.rate} a second of each symbol",
            )
        if mode == "all":
            rate = 0  # every update goes out as it comes
        if request.fields is UNSET or (request.fields is None and request.channel != "price"):
            return Terms(number, rate, 0, MODES[mode])
        if request.channel != "price":
            raise Refused(ErrorCode.UNKNOWN_FIELD, f"fields: expected none in channel {request.channel}")
        return Terms(number, rate, self._desk.mask(request.fields), MODES[mode])

    def _marks(self, request: messages.Subscribe | messages.Reconnect) -> dict[str, Mark]:
        return marks_of(request.resume, request.last_seen)

    def _watched(self, channel: str) -> dict[tuple[str, int], Terms]:
        """By symbol and number of the channel."""
        numbers = numbers_of(channel)
        return {
            (symbol, number): Terms(number, *terms)
            for number, symbol, *terms in self._desk.hub.subscriptions(self._client)
            if number in numbers
        }

    def _check_room(self, channel: str, number: int, symbols: Iterable[str]) -> None:
        allowed = self._desk.config.symbols_max
        # A book has one depth: another one takes the place of the first.
        own = numbers_of(channel) if channel == "book" else (number,)
        watched = {symbol for symbol, of in self._watched(channel) if of in own}
        new = [symbol for symbol in symbols if symbol not in watched]
        asked = len(watched) + len(new)
        if asked > allowed:
            over = new[max(0, allowed - len(watched)) :][:SYMBOLS_NAMED_MAX]
            raise Refused(ErrorCode.TOO_MANY_SYMBOLS, f"too many symbols: {asked} asked, {allowed} allowed", over)

    def _begin(self, symbol: str, terms: Terms, now_ns: int) -> HubStanding | None:
        number, rate, fields, mode = terms
        hub = self._desk.hub
        if number in DEPTHS.values():
            for other in DEPTHS.values():
                if other != number:
                    hub.unsubscribe(self._client, other, symbol)
        return hub.subscribe(self._client, number, symbol, rate, fields, mode, now_ns)

    def _end(self, symbol: str, numbers: Iterable[int]) -> bool:
        ended = [self._desk.hub.unsubscribe(self._client, number, symbol) for number in numbers]
        return any(ended)

    def _in_force(self, symbols: Iterable[str], asked: Terms) -> Terms:
        """Terms that the hub really set: it keeps a bounded list of field sets and gives all fields beyond it."""
        if not asked.fields:
            return asked
        watched = self._watched(CHANNEL_NAMES[asked.number])
        return next((watched[symbol, asked.number] for symbol in symbols if (symbol, asked.number) in watched), asked)

    def _resume(self, number: int, symbol: str, mark: Mark, now_ns: int) -> str | None:
        hub = self._desk.hub
        if isinstance(mark, messages.Place):
            return hub.resume(self._client, number, symbol, now_ns, epoch=mark.epoch, seq=mark.seq)
        last_seen_ns, precision_ns = mark
        return hub.resume(self._client, number, symbol, now_ns, last_seen_ns=last_seen_ns, precision_ns=precision_ns)

    # ------------------------------------------------------------------ replies

    def _words(self, terms: Terms) -> list[str] | UnsetType | None:
        return self._desk.names(terms.fields) if terms.number == PRICE else UNSET

    def _in_words(self, terms: Terms, symbols: int) -> messages.TermsInForce:
        return messages.TermsInForce(
            symbols=symbols,
            rate=terms.rate,
            mode=mode_name(terms.number, terms.mode),
            fields=self._words(terms),
            depth=depth_of(terms.number),
            interval=interval_of(terms.number),
        )

    def _subscribed(
        self,
        channel: str,
        terms: Terms,
        found: dict[str, Found],
        request_id: messages.RequestId | None,
        patterns: dict[str, list[str]],
    ) -> messages.Subscribed:
        return messages.Subscribed(
            id=request_id,
            channel=channel,
            symbols={symbol: self._standing(standing) for symbol, standing in found.items()},
            rate=terms.rate,
            mode=mode_name(terms.number, terms.mode),
            fields=self._words(terms),
            depth=depth_of(terms.number),
            interval=interval_of(terms.number),
            patterns=patterns or UNSET,
            layout=self._codec.layout,
            delay_s=self._desk.delay_s or UNSET,
        )

    def _standing(self, standing: Found) -> messages.Standing:
        if standing is None or isinstance(standing, str):
            return messages.Standing(standing or "no_such_symbol")
        return messages.Standing(standing.state, standing.epoch, standing.seq, self._handle(standing))

    def _handle(self, standing: HubStanding) -> int | UnsetType:
        return standing.handle if self._codec.tells_handles else UNSET

    def _resumed(
        self,
        request: messages.Channelled,
        recovered: dict[str, str | None],
        found: dict[str, Found],
        terms: Terms,
    ) -> messages.Resumed:
        symbols: dict[str, messages.Recovery] = {}
        for symbol, reason in recovered.items():
            standing = found[symbol]
            if standing is None or isinstance(standing, str):
                state = standing or "no_such_symbol"
                symbols[symbol] = messages.Recovery(recovered=False, reason="unknown", state=state)
                continue
            symbols[symbol] = messages.Recovery(
                recovered=reason is None,
                reason=UNSET if reason is None else reason,
                state=standing.state,
                epoch=standing.epoch,
                seq=standing.seq,
                handle=self._handle(standing),
            )
        return messages.Resumed(
            id=request.id,
            channel=request.channel,
            symbols=symbols,
            rate=terms.rate,
            mode=mode_name(terms.number, terms.mode),
            fields=self._words(terms),
            depth=depth_of(terms.number),
            interval=interval_of(terms.number),
            delay_s=self._desk.delay_s or UNSET,
        )


def _changed(request: messages.Set, now: Terms, asked: Terms) -> Terms:
    """Terms of a subscription after a ``set``: what it does not name stays."""
    mode = now.mode if request.mode is UNSET else asked.mode
    return Terms(
        now.number if request.depth is UNSET else asked.number,
        0 if mode == MODES["all"] else (now.rate if request.rate is UNSET else asked.rate),
        now.fields if request.fields is UNSET else asked.fields,
        mode,
    )


def _want(terms: Terms, symbol: str, mark: Mark | None) -> Want:
    want = Want(terms.number, symbol, terms.rate, terms.mode)
    if mark is None:
        return want
    if isinstance(mark, messages.Place):
        return want._replace(epoch=mark.epoch, seq=mark.seq)
    return want._replace(last_seen_ns=mark[0], precision_ns=mark[1])
