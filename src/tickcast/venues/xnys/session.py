"""XNYS: market data over a FIX 4.4 session.

After the logon the list of securities (35=x, answered by 35=y), then subscriptions in chunks (35=V, 263=1), each
instrument live with its full refresh (35=W). Numbers, repeats and holes are the FIX session's (``venues/fix``), books
the core's (:class:`tickcast._native.FixDecoder`). Repair:

- a hole of the session marks everything ``gap``; what the venue sends again makes it good, and what was not lost is
  live again;
- what it gap-fills, or never sends, may have concerned any instrument: each stays ``gap`` until the full refresh that
  is asked for (263=0) has come;
- a hole in one instrument's RptSeq, an update that does not fit, a crossed book: the same for that instrument alone;
- subscriptions end with the connection: after a new logon everything is asked for again.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import RECORD, Flag, State
from tickcast.venues import rows
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.fix import messages
from tickcast.venues.fix.happenings import Delivered, Filled, Happening, Hole, LoggedOn, Lost, Rejected, Turn
from tickcast.venues.fix.session import FixSession, Settings
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.xnys import requests
from tickcast.venues.xnys.requests import Asked

LINK: Final = "fix"
CHUNK: Final = 50
"""Symbols of one market data request."""
SECOND_NS: Final = messages.SECOND_NS
ANSWER_NS: Final = 10 * SECOND_NS
"""A request is answered within this time or repeated."""
REFRESH_NS: Final = SECOND_NS
"""An instrument's full refresh is asked for at most so often."""
TAIL_MAX: Final = 1_048_576
"""Bytes of one message."""
RETRY_AFTER: Final = re.compile(r"after (\d+(?:\.\d+)?) ?s")
RESENT: Final = int(Flag.BACKFILLED)
BUSINESS_REJECT: Final = "j"
NO_REFRESH_CODES: Final = frozenset({"4"})
"""MDReqRejReason (281): SubscriptionRequestType 0 is not served."""
NO_TYPE_CODE: Final = "8"
"""MDReqRejReason (281): an MDEntryType is not served."""


class XnysSession:
    """See the module."""

    def __init__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> None:
        if config.address is None:
            raise UsageError(f"feeds.{feed}.address: expected host:port for venue {config.venue}, found nothing")
        self._config = config
        self._address = config.address
        self._fix = FixSession(settings(feed, config))
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._decoder = _native.FixDecoder(
            config.venue,
            symbols=config.symbols or None,
            depth=config.depth,
            wait_for_snapshot=True,
            round_lot="100",
        )
        self._tail = b""
        self._logons = 0
        self._prefix = ""
        self._held = (0, 0)
        """Messages of the open hole that may still come, and the number behind it."""
        self._count = 0
        """Records of the step under way."""
        self._defined: dict[str, Definition] = {}
        self._listed = False
        """The list of securities has come since the logon."""
        self._requests = 0
        self._asked: dict[str, Asked] = {}
        """Requests by their ids."""
        self._numbers: dict[int, str] = {}
        """Ids of requests by MsgSeqNum."""
        self._subscribed: dict[str, str] = {}
        """MDReqID of each symbol's subscription."""
        self._due: dict[str, int] = {}
        """When to ask for the full refresh of a symbol that has not come."""
        self._refreshed: dict[str, int] = {}
        """When it was asked for last."""
        self._list_due = 0
        self._types: tuple[str, ...] = requests.TYPES
        self._may_refresh = True

    # ------------------------------------------------------------------ the shell's calls

    @property
    def wake_ns(self) -> int:
        """When the session, or a request that is not answered, wants to be looked after."""
        wanted = [self._fix.wake_ns, self._list_due, min(self._due.values(), default=0)]
        return min((time for time in wanted if time), default=0)

    @property
    def decoder(self) -> "_native.FixDecoder":
        """The decoder with its books, for tests and tools."""
        return self._decoder

    @property
    def fix(self) -> FixSession:
        """The FIX session, for tests and tools."""
        return self._fix

    def watch_books(self, instruments: Collection[int], now_ns: int) -> Step:
        """Tell the levels of these books from now on, and of no others."""
        records = self._decoder.watch_books(list(instruments), now_ns)
        return Step(records=[records] if records else [])

    def restore(self, kept: bytes) -> None:
        """Take up the sequence numbers of the last process."""
        self._fix.restore(kept)

    def start(self, now_ns: int) -> Step:
        """Ask for the one link."""
        del now_ns
        return Step(links=[Link(name=LINK, transport="tcp", target=self._address)])

    def opened(self, link: str, now_ns: int) -> Step:
        """Log on."""
        del link
        self._tail = b""
        step = self._step()
        self._carry(step, self._fix.opened(now_ns), now_ns)
        return step

    def closed(self, link: str, now_ns: int) -> Step:
        """Keep the numbers; subscriptions have ended with the connection."""
        del link
        self._tail = b""
        self._forget_requests()
        step = self._step()
        self._carry(step, self._fix.closed(now_ns), now_ns)
        return step

    def answered(self, request: Request, answer: Answer) -> Step:
        """Never called: this venue has no REST side."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Heartbeats and whatever has to be asked again."""
        step = self._step()
        self._carry(step, self._fix.wake(now_ns), now_ns)
        if self._list_due and now_ns >= self._list_due:
            self._ask_list(step, now_ns)
        self._ask_refreshes(step, now_ns)
        return step

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Split off messages, let the session order them, decode them."""
        del link
        step = self._step()
        for chunk, ts_recv in zip(chunks, times, strict=True):
            data = self._tail + chunk if self._tail else chunk
            frames = _native.fix_split(data, message_max=TAIL_MAX)
            self._tail = data[frames.consumed :]
            step.messages += frames.messages
            self._carry(step, self._fix.received(frames, ts_recv), ts_recv)
            if step.drop or step.refused:
                break
            self._ask_refreshes(step, ts_recv)
        return step

    # ------------------------------------------------------------------ what the session tells

    def _step(self) -> Step:
        self._count = 0
        return Step()

    def _carry(self, step: Step, turn: Turn, now_ns: int) -> None:
        step.send.extend((LINK, data) for data in turn.send)
        for reason, raw in turn.dead:
            step.bury(reason, messages.redact(raw))
        if turn.drop is not None:
            step.drop[LINK] = turn.drop
        if turn.refused is not None:
            step.refused[LINK] = turn.refused
        if turn.keep is not None:
            step.keep = turn.keep
        for happening in turn.happenings:
            self._happen(step, happening, now_ns)

    def _happen(self, step: Step, happening: Happening, now_ns: int) -> None:
        match happening:
            case Delivered():
                self._decode(step, happening, now_ns)
            case LoggedOn():
                self._logged_on(step, happening, now_ns)
            case Hole():
                missing = happening.last - happening.first + 1
                self._held = (missing, happening.last + 1)
                self._add(step, rows.gap(rows.MARKET, missing, next_seq=happening.last + 1, ts_recv=now_ns))
                self._add(step, self._decoder.hold(held=True, ts_recv=now_ns))
            case Filled():
                self._add(step, self._decoder.hold(held=False, ts_recv=now_ns))
                missing, next_seq = self._held
                if missing:
                    self._add(step, rows.gap(rows.MARKET, missing, next_seq=next_seq, ts_recv=now_ns, repaired=True))
                self._held = (0, 0)
            case Lost():
                missing = happening.last - happening.first + 1
                self._held = (max(self._held[0] - missing, 0), self._held[1])
                self._lose(step, None, missing=missing, next_seq=happening.last + 1, now_ns=now_ns)
            case Rejected():
                reason = f"the venue rejects our {happening.msg_type or 'message'}: {happening.text}"
                step.bury(reason, b"")
                self._refused(step, self._numbers.get(happening.seq), happening.text, now_ns)

    def _logged_on(self, step: Step, happening: LoggedOn, now_ns: int) -> None:
        self._logons += 1
        self._held = (0, 0)
        if happening.reset:
            step.new_session = True
        self._add(step, self._decoder.hold(held=False, ts_recv=now_ns))
        if self._logons > 1:
            # trades that happened while there was no subscription are told by nobody
            self._lose(step, None, missing=0, next_seq=self._fix.next_in, now_ns=now_ns)
        self._forget_requests()
        # our next number is one that no connection began with, in this process or one before
        self._prefix = f"{self._logons}.{self._fix.next_out}"
        self._decoder.expect(f"{self._prefix}-")
        self._ask_list(step, now_ns)

    def _lose(self, step: Step, symbols: Sequence[str] | None, *, missing: int, next_seq: int, now_ns: int) -> None:
        self._add(step, self._decoder.lose(symbols, missing=missing, next_seq=next_seq, ts_recv=now_ns))
        for symbol in self._subscribed if symbols is None else symbols:
            self._want(symbol, now_ns)

    def _forget_requests(self) -> None:
        self._asked.clear()
        self._numbers.clear()
        self._subscribed.clear()
        self._due.clear()
        self._refreshed.clear()
        self._list_due = 0
        self._listed = False

    # ------------------------------------------------------------------ requests

    def _send(self, step: Step, msg_type: str, asked: Asked, fields: messages.Fields, now_ns: int) -> None:
        self._asked[asked.ident] = asked
        self._numbers[self._fix.next_out] = asked.ident
        self._carry(step, self._fix.send(msg_type, fields, now_ns), now_ns)

    def _ident(self) -> str:
        """Ids of one connection begin alike, so that answers to an earlier one are told apart."""
        self._requests += 1
        return f"{self._prefix}-{self._requests}"

    def _ask_list(self, step: Step, now_ns: int) -> None:
        asked = Asked("list", self._ident())
        self._list_due = now_ns + ANSWER_NS
        self._send(step, requests.LIST, asked, requests.security_list(asked.ident), now_ns)

    def _subscribe(self, step: Step, symbols: Sequence[str], now_ns: int, *, chunk: int = CHUNK) -> None:
        for start in range(0, len(symbols), chunk):
            part = tuple(symbols[start : start + chunk])
            ident = self._ident()
            for symbol in part:
                self._subscribed[symbol] = ident
                self._due[symbol] = now_ns + ANSWER_NS
                self._refreshed[symbol] = now_ns
            self._request(step, Asked("subscribe", ident, part), "1", now_ns)

    def _request(self, step: Step, asked: Asked, kind: str, now_ns: int) -> None:
        fields = requests.market_data(
            asked.ident, asked.symbols, kind=kind, depth=self._config.depth, types=self._types
        )
        self._send(step, requests.MARKET_DATA, asked, fields, now_ns)

    def _want(self, symbol: str, now_ns: int) -> None:
        """A full refresh is needed, as soon as it may be asked for."""
        if symbol in self._subscribed:
            self._due[symbol] = max(now_ns, self._refreshed.get(symbol, 0) + REFRESH_NS)

    def _ask_refreshes(self, step: Step, now_ns: int) -> None:
        due = [symbol for symbol, time in self._due.items() if time <= now_ns]
        if not due or self._fix.phase != "open":
            return
        if not self._may_refresh:
            for ident in dict.fromkeys(self._subscribed[symbol] for symbol in due):
                self._subscribe_anew(step, ident, now_ns)
            return
        for start in range(0, len(due), CHUNK):
            part = tuple(due[start : start + CHUNK])
            for symbol in part:
                self._due[symbol] = now_ns + ANSWER_NS
                self._refreshed[symbol] = now_ns
            self._request(step, Asked("refresh", self._ident(), part), "0", now_ns)

    def _subscribe_anew(self, step: Step, ident: str, now_ns: int) -> None:
        """Get full refreshes from a venue that has none without a subscription: end it, begin it again."""
        symbols = [symbol for symbol, number in self._subscribed.items() if number == ident]
        self._request(step, Asked("subscribe", ident, tuple(symbols)), "2", now_ns)
        self._asked.pop(ident, None)
        self._add(step, self._decoder.lose(symbols, missing=0, next_seq=self._fix.next_in, ts_recv=now_ns))
        self._subscribe(step, symbols, now_ns)

    def _refused(self, step: Step, ident: str | None, reason: str, now_ns: int) -> None:
        """A request is refused: for now (it says how long), for some of what it asks, or for good."""
        asked = self._asked.pop(ident, None) if ident is not None else None
        if asked is None:
            return
        code, _, _ = reason.partition(" ")
        later = RETRY_AFTER.search(reason)
        if later is not None or asked.purpose == "list":
            wait_ns = round(float(later[1]) * SECOND_NS) if later is not None else ANSWER_NS
            self._later(asked, now_ns + max(wait_ns, SECOND_NS))
            if later is None:
                self._take_listed(step, now_ns)
        elif code == NO_TYPE_CODE and self._types == requests.TYPES:
            self._types = tuple(one for one in requests.TYPES if one != "B")
            self._request_again(step, asked, now_ns)
        elif asked.purpose == "refresh" and code in NO_REFRESH_CODES:
            self._may_refresh = False
            for symbol in asked.symbols:
                self._due[symbol] = now_ns
        elif len(asked.symbols) > 1:
            # one of them is the reason: each for itself
            if asked.purpose == "subscribe":
                self._subscribe(step, asked.symbols, now_ns, chunk=1)
            else:
                for symbol in asked.symbols:
                    self._request(step, Asked("refresh", self._ident(), (symbol,)), "0", now_ns)
        else:
            self._unavailable(step, asked, reason, now_ns)

    def _later(self, asked: Asked, at_ns: int) -> None:
        if asked.purpose == "list":
            self._list_due = at_ns
            return
        for symbol in asked.symbols:
            if asked.purpose == "subscribe":
                self._subscribed.pop(symbol, None)
                self._due.pop(symbol, None)
            else:
                self._due[symbol] = at_ns
        if asked.purpose == "subscribe":
            self._list_due = at_ns  # the list comes again, and with it what is not subscribed

    def _request_again(self, step: Step, asked: Asked, now_ns: int) -> None:
        if asked.purpose == "subscribe":
            self._subscribe(step, asked.symbols, now_ns)
        else:
            self._request(step, Asked("refresh", self._ident(), asked.symbols), "0", now_ns)

    def _unavailable(self, step: Step, asked: Asked, reason: str, now_ns: int) -> None:
        """The venue has this instrument and does not tell us of it."""
        for symbol in asked.symbols:
            step.bury(f"{self._config.venue}:{symbol}: the venue refuses market data: {reason}", b"")
            self._due.pop(symbol, None)
            self._subscribed.pop(symbol, None)
            known = self._defined.get(symbol)
            if known is not None:
                step.texts[self._count] = reason
                row = rows.status(known.instrument, State.UNVERIFIED, ts_event=now_ns, ts_recv=now_ns)
                self._add(step, row)

    # ------------------------------------------------------------------ market data

    def _decode(self, step: Step, delivered: Delivered, now_ns: int) -> None:
        run = delivered.run
        flags = 0
        if delivered.resent:
            # told before, if to an earlier process of ours: the core knows what it counted
            flags = RESENT | (int(Flag.REPLAYED) if self._logons <= 1 else 0)
        if run.msg_type == BUSINESS_REJECT:
            self._business_reject(step, run, now_ns)
            return
        decoded = self._decoder.decode(run.raw, now_ns, flags=flags)
        for _, reason, raw in decoded.dead:
            step.bury(f"FIX: {reason}", raw)
        step.dead_count += decoded.dead_count - len(decoded.dead)
        step.unpriced += decoded.unpriced
        for listed in decoded.instruments:
            self._define(step, listed, now_ns)
        for index, text in decoded.texts:
            step.texts[self._count + index] = text
        self._add(step, decoded.records)
        for subject, name, detail in decoded.events:
            self._note(step, subject, name, detail, now_ns)

    def _note(self, step: Step, subject: str, name: str, detail: str, now_ns: int) -> None:
        match subject:
            case "snapshot":
                self._due.pop(name, None)
            case "lost":
                self._want(name, now_ns)
            case "lost_all":
                self._lose(step, None, missing=1, next_seq=self._fix.next_in, now_ns=now_ns)
            case "refused":
                self._refused(step, name, detail, now_ns)
            case "listed" if detail.startswith("Y"):
                self._asked.pop(name, None)
                self._list_due = 0
                if detail not in {"Y", "Y0"}:
                    step.bury(f"the venue has no list of securities: SecurityRequestResult (560) {detail[1:]}", b"")
                self._take_listed(step, now_ns)
            case _:
                pass  # parts of a list; types that bring nothing

    def _take_listed(self, step: Step, now_ns: int) -> None:
        """Subscribe to what is listed and wanted; of a venue without a list to what the config names."""
        wanted = self._config.symbols
        if wanted and not self._defined:
            for symbol in wanted:
                self._define(step, {"symbol": symbol}, now_ns)
        if not self._listed:
            self._listed = True
            step.unlisted.extend(sorted(set(wanted) - set(self._defined)))
        self._subscribe(step, [symbol for symbol in self._defined if symbol not in self._subscribed], now_ns)

    def _define(self, step: Step, listed: Mapping[str, str], now_ns: int) -> None:
        symbol = listed["symbol"]
        if self._config.symbols and symbol not in self._config.symbols:
            return
        try:
            definition = self._naming.define(
                symbol,
                asset_class="equity",
                currency=listed.get("currency") or "USD",
                tick_size=listed.get("tick_size") or None,
                lot_size=listed.get("lot_size") or "100",
            )
        except SymbolError as wrong:
            step.bury(str(wrong), symbol.encode("utf-8", "replace"))
            return
        if self._defined.get(symbol) == definition:
            return
        self._defined[symbol] = definition
        step.definitions.append(definition)
        close = self._previous_close.get(symbol) or listed.get("previous_close")
        if close:
            self._add(step, rows.previous_close(definition.instrument, close, ts_event=now_ns, ts_recv=now_ns))

    def _business_reject(self, step: Step, run: "_native.FixRun", now_ns: int) -> None:
        """BusinessMessageReject (35=j): names our message by its number (45)."""
        fields = messages.read(run.raw)
        number, text = fields.get(45, ""), fields.get(58, "")
        if RETRY_AFTER.search(text) is None:
            step.bury(f"the venue refuses our {fields.get(372, 'message')}: {text or fields.get(380, '')}", run.raw)
        ident = self._numbers.get(int(number)) if number.isascii() and number.isdigit() else None
        self._refused(step, ident, text, now_ns)

    def _add(self, step: Step, records: bytes) -> None:
        if records:
            step.records.append(records)
            self._count += len(records) // RECORD.itemsize


def settings(feed: str, config: VenueConfig) -> Settings:
    """Return what the config says of the session.

    Raises:
        UsageError: a value that no FIX message can carry.
    """
    texts: Iterable[tuple[str, str]] = (
        ("sender_comp_id", config.sender_comp_id),
        ("target_comp_id", config.target_comp_id or config.venue),
        ("username", config.username),
        ("password", config.password),
    )
    for key, text in texts:
        if not text.isprintable() or not text.isascii() or (key.endswith("comp_id") and not text):
            raise UsageError(f"feeds.{feed}.{key}: expected printable ASCII text, found something else")
    if config.heartbeat_s < 1:
        raise UsageError(f"feeds.{feed}.heartbeat_s: expected at least 1, found {config.heartbeat_s}")
    return Settings(
        sender=config.sender_comp_id,
        target=config.target_comp_id or config.venue,
        username=config.username,
        password=config.password,
        heartbeat_s=config.heartbeat_s,
        reset_on_logon=config.reset_on_logon,
        resend_ns=max(config.gap_timeout_ms, 100) * 1_000_000,
        resend_attempts=max(config.gap_attempts, 1),
        resend_chunk=max(min(config.gap_range_max, 2_500), 1),
    )
