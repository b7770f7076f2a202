"""Messages per CPU-second, from raw bytes to records: framing, sequence check, books, dedup, on one core.

    python bench/decode.py [--messages 500000] [--rounds 5] [--json FILE]

One simulated order flow (streams.py) in every protocol, and what was recorded where $TICKCAST_CAPTURES is set:

* ITCH, SoupBinTCP: ``soup_split``, ``ItchDecoder``, ``Dedup``; TCP has no gaps, numbers are counted;
* ITCH, MoldUDP64 A and B: ``LineArbiter`` takes both lines (each message counts once), then as above;
* PITCH A and B: ``LineArbiter`` over four units, ``PitchDecoder``, ``Dedup``;
* FIX: ``fix_split`` (BodyLength, CheckSum), ``SequenceCheck`` of MsgSeqNum, ``FixDecoder`` (RptSeq, books to a depth
  of 10), ``Dedup``; beside it simplefix, which only splits the same bytes into fields: no checks, no books, no records.

``decoder alone`` has only the decoder called, on blocks that were prepared before. The rows take turns, round by round;
shown are median, lowest and highest. CPU is this process's, and nothing but the row runs in it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import simplefix

import machine
import streams
from streams import MIDNIGHT, START, TURN_PACKETS, Stream
from tickcast import _native

Counts = dict[str, int]
WINDOW = 1 << 16
"""Of dedup: the default of the config."""
AIMS = {"ITCH, SoupBinTCP": 5e6, "ITCH, MoldUDP64 A and B": 5e6, "PITCH, A and B": 5e6, "FIX": 1e6}


class Tail:
    """What comes behind every decoder: dedup and counting."""

    def __init__(self) -> None:
        self._dedup = _native.Dedup(WINDOW)
        self.counts: Counts = {"messages": 0, "records": 0, "dead": 0}

    def take(self, decoded: Any) -> None:
        """Count what a decoder made, after dedup."""
        self.counts["messages"] += decoded.messages
        self.counts["records"] += len(self._dedup.filter(decoded.records)) // 64
        self.counts["dead"] += decoded.dead_count


def itch_soup(stream: Stream) -> Counts:
    decoder, tail, rest, number = _native.ItchDecoder("XNAS", MIDNIGHT), Tail(), b"", 1
    for part in stream.parts:
        data = rest + part if rest else part
        frames = _native.soup_split(data)
        rest = data[frames.consumed :]
        tail.take(decoder.decode(frames.messages, number, START))
        number += frames.sequenced
    return tail.counts


def turns(stream: Stream) -> list[list[bytes]]:
    """Datagrams as rounds of a busy socket bring them."""
    return [stream.parts[at : at + TURN_PACKETS] for at in range(0, len(stream.parts), TURN_PACKETS)]


def itch_lines(groups: list[list[bytes]]) -> Counts:
    arbiter, tail = _native.LineArbiter("moldudp64", from_start=True), Tail()
    decoder = _native.ItchDecoder("XBOS", MIDNIGHT)
    for packets in groups:
        times = [START] * len(packets)
        for line in (0, 1):
            for block in arbiter.take(packets, times, line):
                tail.take(decoder.decode(block.messages, block.first_seq, START))
    return tail.counts


def pitch_lines(groups: list[list[bytes]]) -> Counts:
    arbiter, tail = _native.LineArbiter("pitch", from_start=True), Tail()
    decoder = _native.PitchDecoder("BATS", MIDNIGHT)
    for packets in groups:
        times = [START] * len(packets)
        for line in (0, 1):
            for block in arbiter.take(packets, times, line):
                tail.take(decoder.decode(block.messages, block.unit, block.first_seq, START))
    return tail.counts


def fix(stream: Stream) -> Counts:
    decoder, tail, rest, check = _native.FixDecoder("XNYS"), Tail(), b"", _native.SequenceCheck(1)
    for part in stream.parts:
        data = rest + part if rest else part
        frames = _native.fix_split(data)
        rest = data[frames.consumed :]
        for run in frames.runs:
            if check.check(run.first_seq, run.count)[0] != "next":
                raise SystemExit("the generated stream has a gap")
            tail.take(decoder.decode(run.raw, START))
    return tail.counts


def fields_of_simplefix(stream: Stream) -> Counts:
    parser, count, fields = simplefix.FixParser(), 0, 0
    for part in stream.parts:
        parser.append_buffer(part)
        while (message := parser.get_message()) is not None:
            count += 1
            fields += message.count()
    return {"messages": count, "fields": fields}


Row = tuple[Callable[[], Counts], int]
"""What is measured, and the messages expected of it."""


def alone(new: Callable[[], Any], blocks: list[tuple[Any, ...]]) -> Callable[[], Counts]:
    """Only the decoder, on blocks made before."""

    def run() -> Counts:
        decoder, count, records = new(), 0, 0
        for block in blocks:
            decoded = decoder.decode(*block)
            count += decoded.messages
            records += len(decoded.records) // 64
        return {"messages": count, "records": records}

    return run


def itch_blocks(stream: Stream) -> list[tuple[Any, ...]]:
    blocks, rest, number = list[tuple[Any, ...]](), b"", 1
    for part in stream.parts:
        frames = _native.soup_split(rest + part)
        rest = (rest + part)[frames.consumed :]
        blocks.append((frames.messages, number, START))
        number += frames.sequenced
    return blocks


def made_up(count: int) -> dict[str, Row]:
    """Rows of the simulated flow."""
    soup, mold, pitch = streams.soup(count), streams.mold(count), streams.pitch(count)
    text = streams.fix(max(1000, count // 5))
    short = Stream(0, text.parts[: max(1, len(text.parts) // 10)])
    mold_turns, pitch_turns, blocks = turns(mold), turns(pitch), itch_blocks(soup)
    arbiter = _native.LineArbiter("pitch", from_start=True)
    pitch_blocks = [
        (block.messages, block.unit, block.first_seq, START)
        for packets in pitch_turns
        for block in arbiter.take(packets, [START] * len(packets))
    ]
    return {
        "ITCH, SoupBinTCP": (lambda: itch_soup(soup), soup.messages),
        "ITCH, decoder alone": (alone(lambda: _native.ItchDecoder("XNAS", MIDNIGHT), blocks), soup.messages),
        "ITCH, MoldUDP64 A and B": (lambda: itch_lines(mold_turns), mold.messages),
        "PITCH, A and B": (lambda: pitch_lines(pitch_turns), pitch.messages),
        "PITCH, decoder alone": (alone(lambda: _native.PitchDecoder("BATS", MIDNIGHT), pitch_blocks), pitch.messages),
        "FIX": (lambda: fix(text), text.messages),
        "simplefix, fields only": (lambda: fields_of_simplefix(short), 0),
    }


def recordings() -> dict[str, Row]:
    """Rows of what was recorded; they are short, so each is decoded many times over, with new books each time."""
    rows: dict[str, Row] = {}

    def add(name: str, new: Callable[[], Any], *block: Any) -> None:
        once = alone(new, [block])

        def run() -> Counts:
            total: Counts = {}
            for _ in range(20):
                for key, value in once().items():
                    total[key] = total.get(key, 0) + value
            return total

        rows[f"{name}, recorded, decoder alone"] = (run, 0)

    if (data := streams.recorded(streams.ITCH_FILE)) is not None:
        add("ITCH", lambda: _native.ItchDecoder("XNAS", 0), data, 1, START)
    if (data := streams.recorded(streams.PITCH_FILE)) is not None:
        add("PITCH text", lambda: _native.PitchTextDecoder("BATS", 0), data, 1, START)
    if (data := streams.recorded(streams.FIX_FILE)) is not None:
        raw = b"".join(run.raw for run in _native.fix_split(data, mode="bare").runs)
        add("FIX definitions", lambda: _native.FixDecoder("CME"), raw, START)
    return rows


def measure(rows: dict[str, Row], rounds: int) -> dict[str, dict[str, Any]]:
    """Every row in turn, so many times."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    counts: dict[str, Counts] = {}
    for _ in range(rounds):
        for name, (work, expected) in rows.items():
            began = time.process_time()
            counts[name] = work()
            found[name].append(counts[name]["messages"] / (time.process_time() - began))
            if counts[name].get("dead") or (expected and counts[name]["messages"] != expected):
                raise SystemExit(f"{name}: expected {expected} messages, found {counts[name]}")
    return {
        name: {
            **counts[name],
            "messages_per_cpu_s": round(statistics.median(rates)),
            "lowest": round(min(rates)),
            "highest": round(max(rates)),
        }
        for name, rates in found.items()
    }


def show(rows: dict[str, dict[str, Any]]) -> None:
    print("| decoded | messages | records | k messages per CPU-s: median (lowest to highest) | aim |")
    print("|---|---|---|---|---|")
    for name, row in rows.items():
        rates = f"{row['messages_per_cpu_s'] / 1e3:,.0f} ({row['lowest'] / 1e3:,.0f} to {row['highest'] / 1e3:,.0f})"
        aim = f"{AIMS[name] / 1e3:,.0f}" if name in AIMS else ""
        print(f"| {name} | {row['messages']:,} | {row.get('records', 0):,} | {rates} | {aim} |")
    ratio = rows["FIX"]["messages_per_cpu_s"] / rows["simplefix, fields only"]["messages_per_cpu_s"]
    print(f"\nFIX beside simplefix: {ratio:.0f} times.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500_000, help="of ITCH and PITCH; a fifth of it of FIX")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    facts = machine.facts()
    rows = measure(made_up(options.messages) | recordings(), options.rounds)
    show(rows)
    if options.json:
        whole = {"benchmark": "decode", "machine": facts, "rounds": options.rounds, "rows": rows}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
