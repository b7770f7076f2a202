"""Packet captures: datagrams through the same arbitration as live, one arbiter a session.

No server fills a hole of a recording: another line's copy may, within a second of the capture's time; then the hole is
given up, told, and what waits behind it comes. Nothing is held back for its sake beyond that.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from tickcast import _native
from tickcast.decode.blocks import Place
from tickcast.decode.stream import Stream

WAIT_NS: Final = 1_000_000_000
"""A hole is given up after so much of the capture's time."""
WAITING_MAX: Final = 16 << 20
"""Or when so many bytes wait behind it."""
BUFFER_BYTES: Final = 1 << 28
"""Of an arbiter: far more than one read can bring beyond WAITING_MAX, so that nothing is ever turned away."""
SESSION: Final = slice(0, 10)
"""Of a MoldUDP64 packet."""


class Market(Protocol):
    """Decodes one session's messages."""

    def take_lines(self, blocks: Sequence["_native.LineBlock"], place: Place) -> None:
        """Decode blocks, in order."""

    def hole(self, unit: int, missing: int, next_seq: int, ts_recv: int) -> None:
        """Messages of a unit are missing."""


class CaptureReader:
    """pcap and pcapng files."""

    def __init__(
        self,
        stream: Stream,
        protocol: Literal["moldudp64", "pitch"],
        market: Callable[[], Market],
    ) -> None:
        """``market`` makes the decoder of a session."""
        self._stream = stream
        self._protocol: Literal["moldudp64", "pitch"] = protocol
        self._new_market = market
        self._reader = _native.PacketReader(protocol)
        self._sessions: dict[bytes, tuple[_native.LineArbiter, Market]] = {}
        self._file = ""
        self._now_ns = 0

    def begin_file(self, name: str) -> None:
        """Another file with its own header."""
        self._file = name
        self._reader.next_file()

    def feed(self, data: bytes) -> None:
        """Decode the packets that are whole."""
        self._take(self._reader.feed(data))

    def end_file(self, reason: str | None) -> None:
        """What is left is cut."""
        self._take(self._reader.feed(b"", is_end=True))
        if reason is not None:
            self._stream.report.bury(self._file, 0, reason)

    def finish(self) -> None:
        """Give up every hole: nothing more will come."""
        for arbiter, market in self._sessions.values():
            self._give_up(arbiter, market, place=self._place((), ()), everything=True)

    # ------------------------------------------------------------------ packets

    def _take(self, found: "_native.Packets") -> None:
        report = self._stream.report
        for offset, reason, _, foreign in found.damaged:
            (report.wonder if foreign else report.bury)(self._file, offset, reason)
            report.frames += 1
        for _, _, offset, _, _, payload in found.segments:
            if payload:
                report.frames += 1
                report.wonder(self._file, offset, "a TCP segment: of captures only datagrams are read")
        report.frames += found.other
        report.control += found.other
        datagrams, times = found.datagrams, found.times
        if not datagrams:
            return
        place = self._place(datagrams, found.offsets)
        self._now_ns = times[-1]
        empty = sum(map(self._is_empty, datagrams))
        report.frames += empty
        report.control += empty
        if self._stream.raw:
            self._take_raw(datagrams, times, place)
            return
        for session, packets, packet_times in self._by_session(datagrams, times):
            arbiter, market = self._session(session)
            self._decode(market, arbiter.take(packets, packet_times), place)
            self._give_up(arbiter, market, place=place, everything=False)

    def _is_empty(self, packet: bytes) -> bool:
        """Say whether a packet brings no message: a heartbeat or the end of a session."""
        if self._protocol == "pitch":
            return packet[2] == 0
        return packet[18:20] in {b"\x00\x00", b"\xff\xff"}

    def _by_session(
        self, datagrams: Sequence[bytes], times: Sequence[int]
    ) -> list[tuple[bytes, Sequence[bytes], Sequence[int]]]:
        """Divide packets by their session, order kept."""
        if self._protocol == "pitch":
            return [(b"", datagrams, times)]
        names = {packet[SESSION] for packet in datagrams}
        if len(names) == 1:
            return [(names.pop(), datagrams, times)]
        divided: dict[bytes, tuple[list[bytes], list[int]]] = {}
        for packet, time in zip(datagrams, times, strict=True):
            packets, packet_times = divided.setdefault(packet[SESSION], ([], []))
            packets.append(packet)
            packet_times.append(time)
        return [(name, *parts) for name, parts in divided.items()]

    def _session(self, name: bytes) -> tuple["_native.LineArbiter", Market]:
        known = self._sessions.get(name)
        if known is None:
            if self._sessions:
                self._stream.begin_session()
            arbiter = _native.LineArbiter(self._protocol, buffer_bytes=BUFFER_BYTES, recorded=True)
            known = self._sessions[name] = (arbiter, self._new_market())
        return known

    def _take_raw(self, datagrams: Sequence[bytes], times: Sequence[int], place: Place) -> None:
        """Every packet as it came, repeats and both lines: each has an arbiter of its own."""
        for packet, time in zip(datagrams, times, strict=True):
            _, market = self._session(packet[SESSION] if self._protocol == "moldudp64" else b"")
            self._decode(market, _native.LineArbiter(self._protocol, recorded=True).take([packet], [time]), place)

    @staticmethod
    def _decode(market: Market, blocks: Sequence["_native.LineBlock"], place: Place) -> None:
        if blocks:
            market.take_lines(blocks, place)

    def _give_up(self, arbiter: "_native.LineArbiter", market: Market, *, place: Place, everything: bool) -> None:
        """Skip the first hole of each unit while it is old, or in the way of too much."""
        for unit in {hole[0] for hole in arbiter.holes()}:
            while hole := next((hole for hole in arbiter.holes() if hole[0] == unit), None):
                _, first, last, since = hole
                is_old = self._now_ns - since >= WAIT_NS or arbiter.unit(unit)["waiting_bytes"] >= WAITING_MAX
                if not is_old and not everything:
                    break
                market.hole(unit, last - first + 1, last + 1, self._now_ns)
                self._decode(market, arbiter.skip(unit, last), place)

    def _place(self, datagrams: Sequence[bytes], offsets: Sequence[int]) -> Place:
        """Find the packet that brought a message, among those of this read."""
        file = self._file

        def place(_: int, raw: bytes) -> tuple[str, int]:
            found = (offset for packet, offset in zip(datagrams, offsets, strict=True) if raw in packet)
            return file, next(found, offsets[0] if offsets else 0)

        return place
