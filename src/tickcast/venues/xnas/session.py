"""Nasdaq TotalView-ITCH 5.0 over SoupBinTCP 3.00: one TCP link, resumed from the next sequence number.

The machine: *closed* (no link) -> *asking* (login sent) -> *open* (accepted: sequenced packets come). The decoder with
its books lives as long as the SoupBinTCP session: a link that breaks and comes back resumes at the next sequence number
and nothing is lost; another session id begins a new feed session with empty books. A server that resumes later than it
was asked has lost something for us: see ``NOTES.md``.
"""

import struct
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from tickcast import _native
from tickcast.model.errors import UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, State, record_bytes, records_from
from tickcast.venues import rows
from tickcast.venues.base import Answer, Link, Request, Step, VenueConfig
from tickcast.venues.naming import Naming, SymbolError
from tickcast.venues.xnas import soup
from tickcast.venues.xnas.day import TradingDay, new_york_day

LINK: Final = "tape"
"""What is kept of a trade until the session's volumes can be said."""
BACKFILL_NS: Final = 1_000_000_000
"""What happened so long before the login is told again, not news: flagged ``backfilled``."""


class XnasSession:
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
            raise UsageError(f"feeds.{feed}.address: expected host:port for venue XNAS, found nothing")
        try:
            self._date = date.fromisoformat(config.date) if config.date else None
            soup.login(username=config.username, password=config.password, session=config.session, sequence=1)
        except ValueError as wrong:
            raise UsageError(f"feeds.{feed}: {wrong}") from wrong
        self._config = config
        self._address = config.address
        self._naming = Naming(feed=feed, venue=config.venue, calendar=config.calendar, securities=securities)
        self._previous_close = previous_close
        self._session = config.session
        self._next = 1
        self._started = False
        """A login was accepted: decoder and books belong to ``_session``."""
        self._skip = 0
        """Messages to come that were decoded before."""
        self._doubt: State | None = None
        """What stands in for ``live`` since messages were lost; until the next session."""
        self._tail = b""
        self._sent_ns = 0
        self._login_ns = 0
        self._last_event_ns = 0
        self._catching_up = False
        """The session is told from its beginning: what happened before the login is not news."""
        self._day = TradingDay(self._date or date(1970, 1, 2), fixed=self._date is not None)
        self._decoder = self._new_decoder()
        self._directory: dict[str, bytes] = {}
        self._defined: dict[str, Definition] = {}

    @property
    def wake_ns(self) -> int:
        """When the next client heartbeat is due."""
        return self._sent_ns + soup.HEARTBEAT_NS if self._sent_ns else 0

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next message."""
        return self._next

    @property
    def decoder(self) -> "_native.ItchDecoder":
        """The decoder with its books, for tests and tools."""
        return self._decoder

    def start(self, now_ns: int) -> Step:
        """Ask for the one link."""
        del now_ns
        return Step(links=[Link(name=LINK, transport="tcp", target=self._address)])

    def opened(self, link: str, now_ns: int) -> Step:
        """Log in, from the next sequence number."""
        self._tail = b""
        self._sent_ns = now_ns
        request = soup.login(
            username=self._config.username,
            password=self._config.password,
            session=self._session,
            sequence=self._next,
        )
        return Step(send=[(link, request)])

    def closed(self, link: str, now_ns: int) -> Step:
        """Keep decoder and books for the resume."""
        del link, now_ns
        self._tail = b""
        self._sent_ns = 0
        return Step()

    def answered(self, request: Request, answer: Answer) -> Step:
        """Never called: this venue has no REST side."""
        del request, answer
        return Step()

    def wake(self, now_ns: int) -> Step:
        """Send a heartbeat if nothing was sent for a second."""
        if not self._sent_ns or now_ns - self._sent_ns < soup.HEARTBEAT_NS:
            return Step()
        self._sent_ns = now_ns
        return Step(send=[(LINK, soup.HEARTBEAT)])

    def received(self, link: str, chunks: Sequence[bytes], times: Sequence[int]) -> Step:
        """Split, decode and stamp each read."""
        step = Step()
        for chunk, ts_recv in zip(chunks, times, strict=True):
            data = self._tail + chunk if self._tail else chunk
            try:
                frames = _native.soup_split(data)
            except ValueError as wrong:
                step.bury(f"SoupBinTCP: {wrong}", data[:256])
                step.drop[link] = f"the stream cannot be read any more: {wrong}"
                break
            self._tail = data[frames.consumed :]
            ended = False
            for kind, payload in frames.control:
                if kind == "Z":
                    ended = True
                else:
                    self._control(step, link, kind, payload, ts_recv)
            if link in step.drop or link in step.refused:
                break
            if frames.sequenced:
                self._decode(step, frames, ts_recv)
            if ended:
                self._session = ""
                self._next = 1
                step.drop[link] = "the venue ended the session"
                break
        return step

    # ------------------------------------------------------------------ control packets

    def _control(self, step: Step, link: str, kind: str, payload: bytes, ts_recv: int) -> None:
        if kind == "A":
            try:
                accepted = soup.accepted(payload)
            except ValueError as wrong:
                step.bury(str(wrong), payload)
                step.drop[link] = str(wrong)
                return
            self._enter(step, accepted, ts_recv)
        elif kind == "H" and self._catching_up:
            self._end_catching_up(step, ts_recv)  # the venue has nothing more to tell
        elif kind == "J":
            code = payload[:1].decode("ascii", "replace")
            reason = f"login rejected: {soup.REJECTED.get(code, f'code {code!r}')}"
            if code == "S":  # the session we ask for is over: next time the current one, from its start
                self._session = ""
                self._next = 1
                step.drop[link] = reason
            else:
                step.refused[link] = reason

    def _enter(self, step: Step, accepted: soup.Accepted, ts_recv: int) -> None:
        """Take up the session where it stands: a new one from its start, the same one from the next message."""
        asked = self._next
        self._login_ns = ts_recv
        if not self._started or accepted.session != self._session:
            asked = 1
            self._reset(step, accepted.session, ts_recv)
        self._catching_up = self._date is None and (accepted.sequence == 1 or self._catching_up)
        self._skip = max(asked - accepted.sequence, 0)
        missing = accepted.sequence - asked
        if missing <= 0:
            return
        self._next = accepted.sequence
        if asked == 1:
            self._doubt = State.UNVERIFIED
            return
        self._doubt = State.GAP
        self._decoder = self._new_decoder()
        for message in self._directory.values():
            self._decoder.decode(message, 0, ts_recv)
        for known in self._defined.values():
            step.records.append(rows.gap(known.instrument, missing, next_seq=self._next, ts_recv=ts_recv))
        self._empty_books(step, State.GAP, ts_recv)

    def _reset(self, step: Step, session: str, ts_recv: int) -> None:
        step.new_session = True
        self._session = session
        self._next = 1
        self._started = True
        self._doubt = None
        self._day = TradingDay(self._date or new_york_day(ts_recv), fixed=self._date is not None)
        self._decoder = self._new_decoder()
        self._directory.clear()
        self._empty_books(step, State.SYNCING, ts_recv)

    def _empty_books(self, step: Step, state: State, ts_recv: int) -> None:
        """Take back the quotes of books that are begun anew."""
        for known in self._defined.values():
            for kind in (Kind.BID, Kind.ASK):
                step.records.append(
                    rows.quote(
                        known.instrument, kind, None, seq=0, ts_event=ts_recv, ts_recv=ts_recv, last=kind == Kind.ASK
                    )
                )
            step.records.append(rows.status(known.instrument, state, ts_event=ts_recv, ts_recv=ts_recv))

    def _new_decoder(self) -> "_native.ItchDecoder":
        return _native.ItchDecoder(
            self._config.venue,
            self._day.midnight_ns,
            symbols=self._config.symbols or None,
            depth=self._config.depth,
        )

    # ------------------------------------------------------------------ sequenced packets

    def _decode(self, step: Step, frames: "_native.SoupFrames", ts_recv: int) -> None:
        block, count = frames.messages, frames.sequenced
        step.messages += count
        if self._skip:
            block, count = self._without_known(block, count)
            if not count:
                return
        decoded = self._decoder.decode(block, self._next, ts_recv)
        self._next += count
        step.unpriced += decoded.unpriced
        if decoded.unpriced and self._doubt is None and self._date is None:
            # a whole session knows every order: the venue or our books are wrong, and it has to be seen
            step.bury(f"{decoded.unpriced} messages of orders that were never added", b"")
        for _, reason, raw in decoded.dead:
            step.bury(reason, raw)
        step.dead_count += decoded.dead_count - len(decoded.dead)
        for stock in decoded.instruments:
            self._define(step, stock, ts_recv)
        if decoded.records:
            step.records.append(self._stamp(decoded.records, ts_recv))
            if self._catching_up and self._last_event_ns >= self._login_ns - BACKFILL_NS:
                self._end_catching_up(step, ts_recv)

    def _without_known(self, block: bytes, count: int) -> tuple[bytes, int]:
        """Leave out messages that were decoded before the link broke: the server began before what was asked."""
        position = 0
        while self._skip and count:
            position += 2 + int.from_bytes(block[position : position + 2], "big")
            self._skip -= 1
            count -= 1
        return block[position:], count

    def _stamp(self, data: bytes, ts_recv: int) -> bytes:
        """Put event times on their day; say what is told again and what is in doubt."""
        records = records_from(bytearray(data))
        self._day.correct(records["ts_event"], ts_recv)
        if self._catching_up:
            self._last_event_ns = int(records["ts_event"][-1])
            records = self._without_past(records)
        return self._with_doubt(records)

    def _without_past(self, records: Records) -> Records:
        """Of what happened before the login only trades and busts are told, as repeats: old quotes are not live.

        The books are kept all the same; their best prices follow at the end of the catching up.
        """
        old = records["ts_event"] < self._login_ns - BACKFILL_NS
        told = np.isin(records["kind"], (Kind.TRADE, Kind.BUST))
        records["flags"][told] |= np.uint16(Flag.REPLAYED)  # also around the login: what is new counts all the same
        records["flags"][old] |= np.uint16(Flag.LAST_OF_EVENT)
        return records[~old | told]

    def _with_doubt(self, records: Records) -> bytes:
        if self._doubt is not None:
            live = (records["kind"] == Kind.STATUS) & (records["detail"] == State.LIVE)
            records["detail"][live] = self._doubt
        return bytes(record_bytes(records))

    def _end_catching_up(self, step: Step, ts_recv: int) -> None:
        """We are at the login's time: tell best prices and states as they are now."""
        self._catching_up = False
        records = records_from(bytearray(self._decoder.snapshot(ts_recv)))
        records["ts_event"] = ts_recv
        step.records.append(self._with_doubt(records))

    def _define(self, step: Step, stock: Mapping[str, object], ts_recv: int) -> None:
        symbol = str(stock["stock"]).strip()
        self._directory[symbol] = directory_message(stock)
        try:
            definition = self._naming.define(
                symbol, asset_class="equity", currency="USD", tick_size="0.01", lot_size=str(stock["round_lot_size"])
            )
        except SymbolError as wrong:
            step.bury(str(wrong), self._directory[symbol])
            return
        if self._defined.get(symbol) == definition:
            return
        self._defined[symbol] = definition
        step.definitions.append(definition)
        state = State.SYNCING if self._catching_up else self._doubt
        if state is not None:
            step.records.append(rows.status(definition.instrument, state, ts_event=ts_recv, ts_recv=ts_recv))
        close = self._previous_close.get(symbol)
        if close is not None:
            told_ns = self._day.midnight_ns + int(str(stock["timestamp"]))
            step.records.append(rows.previous_close(definition.instrument, close, ts_event=told_ns, ts_recv=ts_recv))


DIRECTORY: Final = struct.Struct(">cHH6s8sccIcc2scccccIc")
"""A stock directory message (``R``, section 4.2.1)."""


def directory_message(stock: Mapping[str, Any]) -> bytes:
    """Build the message again from its fields, with its length before it: a new decoder is told of the stocks by it."""

    def letter(name: str) -> bytes:
        return str(stock[name]).encode("ascii").ljust(1)[:1]

    message = DIRECTORY.pack(
        b"R",
        stock["stock_locate"],
        stock["tracking_number"],
        int(stock["timestamp"]).to_bytes(6, "big"),
        str(stock["stock"]).encode("ascii").ljust(8),
        letter("market_category"),
        letter("financial_status_indicator"),
        stock["round_lot_size"],
        letter("round_lots_only"),
        letter("issue_classification"),
        str(stock["issue_sub_type"]).encode("ascii").ljust(2),
        letter("authenticity"),
        letter("short_sale_threshold_indicator"),
        letter("ipo_flag"),
        letter("luld_reference_price_tier"),
        letter("etp_flag"),
        stock["etp_leverage_factor"],
        letter("inverse_indicator"),
    )
    return len(message).to_bytes(2, "big") + message
