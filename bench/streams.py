"""What `decode.py` reads: one simulated order flow as SoupBinTCP, MoldUDP64, PITCH and FIX. Not to be run by itself.

The flow is that of `tickcast sim` (tickcast.sim.market): seeded, books consistent, in slices of virtual time. A
recording is taken where $TICKCAST_CAPTURES names a folder that has one; none is in the repository.
"""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tickcast.sim import universe as listing
from tickcast.sim.config import Config
from tickcast.sim.days import midnight_ns
from tickcast.sim.fix.levels import Market, View, messages
from tickcast.sim.fix.message import frame
from tickcast.sim.itch.venue import ItchVenue
from tickcast.sim.market import OrderFlow, Slice
from tickcast.sim.mold_itch.packets import MoldSession
from tickcast.sim.pitch.packets import UnitSequence
from tickcast.sim.pitch.venue import PitchVenue

START = 1_774_879_200_000_000_000
MIDNIGHT = midnight_ns(START, "America/New_York")
SYMBOLS, UNITS = 500, 4
READ_BYTES = 65_536
TURN_PACKETS = 64
PACKET_BYTES = 1400
ITCH_FILE = "itch/nasdaq_20200130_AAPL_first5000.itch50.gz"
PITCH_FILE = "pitch/bats_tcp_pitch_text.txt.gz"
FIX_FILE = "fix/cme_secdef_2018_a.dat.gz"


@dataclass(frozen=True)
class Stream:
    """Messages as a socket would bring them."""

    messages: int
    parts: list[bytes]
    """Reads of TCP, or datagrams."""


def slices(venue: str, events: int, *, quantum_us: int, rate: float = 1_000_000) -> Iterator[tuple[OrderFlow, Slice]]:
    """The flow from the opening on, until so many order events were made; what came before is one slice."""
    config = Config(rate=rate, symbols=SYMBOLS)
    universe = listing.build(config)
    flow = OrderFlow(universe, range(universe.stock_count), config, venue=venue, base=1)
    yield flow, flow.begin(START)
    step_ns, made, number = quantum_us * 1000, 0, 0
    while made < events:
        number += 1
        end = START + number * step_ns
        part = flow.step(start_ns=end - step_ns, end_ns=end, elapsed_ns=number * step_ns, events=rate * step_ns / 1e9)
        if flow.phase == "open":
            made += len(part.events)
        yield flow, part


def reads(whole: bytes) -> list[bytes]:
    """Cut as a busy TCP socket does: anywhere."""
    return [whole[start : start + READ_BYTES] for start in range(0, len(whole), READ_BYTES)]


def end_ns(part: Slice) -> int:
    """Time of the last event of a slice."""
    return int(part.events.ts[-1]) if len(part.events) else START


def soup(events: int) -> Stream:
    """ITCH in SoupBinTCP packets."""
    venue, count, parts = None, 0, list[bytes]()
    for flow, part in slices("XNAS", events, quantum_us=5000):
        if venue is None:
            venue = ItchVenue(flow, rare_every_s=0)
            venue.midnight_ns = MIDNIGHT
            prologue = venue.prologue(START)
            parts.append(prologue)
            count += count_soup(prologue)
        block, more = venue.slice(part, end_ns(part))
        parts.append(block)
        count += more
    return Stream(count, reads(b"".join(parts)))


def count_soup(data: bytes) -> int:
    """Packets in whole SoupBinTCP packets."""
    count = place = 0
    while place < len(data):
        place += 2 + int.from_bytes(data[place : place + 2], "big")
        count += 1
    return count


def mold(events: int) -> Stream:
    """ITCH in MoldUDP64 packets: one line of them."""
    venue, parts = None, list[bytes]()
    session = MoldSession("BENCH", packet_bytes_max=PACKET_BYTES, history_bytes_max=1)
    for flow, part in slices("XBOS", events, quantum_us=1000):
        block = b""
        if venue is None:
            venue = ItchVenue(flow, rare_every_s=0, framing="mold")
            venue.midnight_ns = MIDNIGHT
            block = venue.prologue(START)
        block += b"".join(venue.parts(part, end_ns(part)))
        ends, place = [], 0
        while place < len(block):
            place += 2 + int.from_bytes(block[place : place + 2], "big")
            ends.append(place)
        parts += session.packets(block, ends)
    return Stream(session.next - 1, parts)


def pitch(events: int) -> Stream:
    """Sequenced packets of four units: one line of them."""
    venue, parts = None, list[bytes]()
    units = [UnitSequence(unit, packet_bytes_max=PACKET_BYTES, history_bytes_max=1) for unit in range(1, UNITS + 1)]
    for flow, part in slices("BATS", events, quantum_us=1000):
        if venue is None:
            venue = PitchVenue(flow, units=UNITS, rare_every_s=0)
            venue.midnight_ns = MIDNIGHT
            for block in venue.prologue(START):
                parts += units[block.unit - 1].packets(block)
        for block in venue.slice(part, end_ns(part)):
            parts += units[block.unit - 1].packets(block)
    return Stream(sum(unit.next - 1 for unit in units), parts)


def fix(wanted: int) -> Stream:
    """FIX 4.4 incremental refreshes (35=X) to a depth of 10, an instrument each, after a full refresh (35=W) of all."""
    number, parts, view = 0, list[bytes](), None

    def send(kind: str, ts: int, text: str) -> None:
        nonlocal number
        number += 1
        sent = market.times.timestamp(ts)
        parts.append(frame(f"35={kind}\x0149=XNYS\x0156=TICKCAST\x0134={number}\x0152={sent}\x01262=1\x01{text}"))

    for flow, part in slices("XNYS", 1 << 62, quantum_us=100):
        if flow.phase != "open":
            continue
        if view is None:
            market = Market(flow, time_digits=9, one_time=False)
            view = View(market, 10, frozenset("012"))
            for row in range(len(market.symbols)):
                view.watch(row)
                send("W", START, view.snapshot(row, START))
        for one in view.changes(market.happened(part)).values():
            for text in messages([one], view, 200):
                send("X", end_ns(part), text)
        if number >= wanted:
            break
    return Stream(number, reads(b"".join(parts)))


def recorded(name: str) -> bytes | None:
    """A recording of the folder $TICKCAST_CAPTURES, unpacked; None if there is none."""
    folder = os.environ.get("TICKCAST_CAPTURES")
    file = Path(folder, name) if folder else None
    return gzip.decompress(file.read_bytes()) if file is not None and file.exists() else None
