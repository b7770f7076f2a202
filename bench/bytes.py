"""Bytes an update by codec and channel, beside the whole state as JSON each time; and what compression would cost.

::

    python bench/bytes.py                     # a simulated market
    python bench/bytes.py --captures FOLDER   # sessions that were recorded at venues

Rows go through decoder, newest state and hub; the hub's clock is the recording's. One client of each codec watches
every symbol, at 20 updates a second; what it is sent is counted with its WebSocket headers. The whole state is what the
JSON client knows after each update, written as JSON: what a server sends that has no updates.
"""

import argparse
import json
import os
import random
import resource
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

import machine
from tickcast import _native
from tickcast.client.handles import codec_of
from tickcast.decode.report import Report
from tickcast.decode.run import Options, decode
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, Records, State, empty_records, record_bytes, records_from

CODECS = {"json": 0, "msgpack": 2, "compact": 3, "proto": 4}
CHANNELS = {"price": 0, "trades": 1, "book:10": 3, "book:50": 4, "bars:1s": 5}
FLUSH_NS = 5_000_000
SESSIONS = {
    "BINANCE": "cryptofeed/BINANCE/*2021101*.xz",
    "OKX": "cryptofeed/OKX/*2022*_v5.jsonl.xz",
    "BYBIT": "cryptofeed/BYBIT/*_v5.jsonl.xz",
    "COINBASE": "cryptofeed/COINBASE/*_part1.jsonl.xz",
    "XNAS": "itch/*.gz",
}
"""Recordings by venue, below the folder of captures."""


class Counted:
    """A client of one codec on one channel."""

    def __init__(self, hub: _native.Hub, codec: str, *, batch: bool) -> None:
        self.client = hub.open(-1)
        hub.configure(self.client, codec=CODECS[codec], batch=batch)
        self.codec = codec
        self.bytes = 0
        self.updates = 0


class Reader:
    """Follows the JSON client: counts updates, and the bytes of everything it knows, as JSON, after each."""

    def __init__(self) -> None:
        self.codec = codec_of("json")
        self.updates = 0
        self.snapshot_bytes = 0
        self.whole_bytes = 0
        self.levels = 0
        self.state: dict[str, dict[str, Any]] = {}
        self.texts: list[bytes] = []

    def read(self, data: bytes) -> None:
        """Take what was sent."""
        for payload in payloads(data):
            # Numbers stay texts here, so that they are written with the digits they came with.
            frame = json.loads(payload, parse_float=Digits, parse_int=Digits)
            kind = frame["type"]
            if kind == "snapshot":
                self.snapshot_bytes += framed(len(payload))
                self.state[frame["symbol"]] = frame
                continue
            if kind not in {"update", "trade", "bar"}:
                continue
            self.updates += 1
            self.levels += len(frame.get("bids", ())) + len(frame.get("asks", ()))
            if len(self.texts) < 200_000:
                self.texts.append(payload)
            if kind == "update":
                self.whole_bytes += framed(len(whole(self._merged(frame))))
            else:
                self.whole_bytes += framed(len(payload))

    def _merged(self, frame: dict[str, Any]) -> dict[str, Any]:
        state = self.state[frame["symbol"]]
        for key, value in frame.items():
            if key in {"bids", "asks"}:
                side = {float(price): [price, size] for price, size in state[key]}
                for price, size in value:
                    side[float(price)] = [price, size]
                    if float(size) == 0:
                        del side[float(price)]
                state[key] = [side[price] for price in sorted(side, reverse=key == "bids")]
            elif key != "type":
                state[key] = value
        return state


class Digits(float):
    """A number that keeps its text."""

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


def whole(value: Any) -> str:
    """JSON of a state, numbers as they came."""
    match value:
        case Digits():
            return value.text
        case dict():
            return "{" + ",".join(f'"{key}":{whole(entry)}' for key, entry in value.items()) + "}"
        case list():
            return "[" + ",".join(map(whole, value)) + "]"
        case _:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def framed(length: int) -> int:
    """Bytes of a WebSocket message."""
    return length + (2 if length < 126 else 4 if length < 65_536 else 10)


def payloads(data: bytes) -> Iterator[bytes]:
    """Payloads of a server's frames."""
    at = 0
    while at < len(data):
        length, start = data[at + 1], at + 2
        if length == 126:
            length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        yield data[start : start + length]
        at = start + length


class Market:
    """A sink of decoded rows: a hub, and clients of each codec on each channel."""

    def __init__(self, venue: str, records_max: int) -> None:
        self.venue = venue
        self.hub = _native.Hub(epoch=1, quantum_max_ns=0)
        self.left = records_max
        self.now_ns = 0
        self.flushed_ns = 0
        self.records = 0
        self.clients = {
            (channel, codec): Counted(self.hub, codec, batch=False) for channel in CHANNELS for codec in CODECS
        }
        self.readers = {channel: Reader() for channel in CHANNELS}
        self.snapshot_bytes = dict.fromkeys(self.clients, 0)
        self.waiting: list[str] = []
        self.symbols: dict[int, str] = {}

    def define(self, instrument: int, symbol: str) -> None:
        """See :class:`tickcast.decode.stream.Sink`."""
        self.symbols[instrument] = symbol
        self.hub.define(
            [
                Definition(
                    instrument=instrument,
                    venue=self.venue,
                    symbol=symbol,
                    feed="feed",
                    security=symbol,
                    asset_class="crypto",
                    currency="USD",
                )
            ],
            self.now_ns,
        )
        self.hub.set_feed_state("feed", State.LIVE, "", self.now_ns)
        self.waiting.append(f"{self.venue}:{symbol}")

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """See :class:`tickcast.decode.stream.Sink`."""
        rows = records_from(records)
        named = texts or {}
        begin = 0
        times = rows["ts_recv"]
        while begin < len(rows) and self.left > 0:
            due = max(self.flushed_ns + FLUSH_NS, int(times[begin]))
            end = begin + max(1, int(np.searchsorted(times[begin:], due, side="right")))
            while end < len(rows) and not rows["flags"][end - 1] & Flag.LAST_OF_EVENT:
                end += 1
            part = rows[begin:end]
            self.now_ns = max(self.now_ns, int(part["ts_recv"][-1]))
            ids = [named.get(place) for place in range(begin, end)] if named else None
            self.hub.apply(record_bytes(part), self.now_ns, ids)
            self.records += len(part)
            self.left -= len(part)
            begin = end
            self.flush()

    def close(self, report: Report) -> None:
        """See :class:`tickcast.decode.stream.Sink`."""
        del report

    def flush(self) -> None:
        """Send what is due to everyone, and count it; what begins a subscription is counted apart."""
        self.flushed_ns = self.now_ns
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for (channel, _), counted in self.clients.items():
                mode = 1 if channel == "trades" else 0
                for symbol in waiting:
                    self.hub.subscribe(counted.client, CHANNELS[channel], symbol, 20, 0, mode, self.now_ns)
        sent = dict(self.hub.flush(self.now_ns).unsent)
        for key, counted in self.clients.items():
            data = sent.get(counted.client)
            if data is None:
                continue
            counted.bytes += len(data)
            self.hub.drained(counted.client)
            if key[1] == "json":
                self.readers[key[0]].read(data)
            self.snapshot_bytes[key] += snapshots(key[1], data)

    def result(self) -> dict[str, Any]:
        """Bytes an update by channel and codec."""
        channels: dict[str, Any] = {}
        for channel, reader in self.readers.items():
            if not reader.updates:
                continue
            whole_each = reader.whole_bytes / reader.updates
            sizes = {}
            for codec in CODECS:
                counted = self.clients[channel, codec]
                each = (counted.bytes - self.snapshot_bytes[channel, codec]) / reader.updates
                sizes[codec] = {"bytes": round(each, 1), "fewer_percent": round(100 * (1 - each / whole_each), 1)}
            channels[channel] = {"updates": reader.updates, "whole_json_bytes": round(whole_each, 1), "codecs": sizes}
            if reader.levels:
                channels[channel]["levels_per_update"] = round(reader.levels / reader.updates, 1)
        return {"records": self.records, "symbols": len(self.symbols), "channels": channels}


def snapshots(codec: str, data: bytes) -> int:
    """Bytes of the snapshots and states in what was sent: they begin a subscription and are no updates."""
    total = 0
    for payload in payloads(data):
        match codec:
            case "json":
                other = payload.startswith((b'{"type":"snapshot"', b'{"type":"status"'))
            case "msgpack" | "compact":
                other = b"\xa4type\xa8snapshot" in payload[:20] or b"\xa4type\xa6status" in payload[:20]
            case _:
                # The entry's own tag, behind `messages` and its length.
                at = 1
                while payload[at] & 0x80:
                    at += 1
                other = payload[at + 1] >> 3 in {1, 6, 7, 8}
        if other:
            total += framed(len(payload))
    return total


def simulated(count: int, symbols: int = 50) -> Market:
    """A random walk with ten levels a side, at 5,000 events a second."""
    market = Market("XSIM", count * 2)
    chance = random.Random(1)
    names = [f"S{number}-USDT" for number in range(symbols)]
    market.now_ns = 1_774_794_601_000_000_000
    for name in names:
        market.define(_native.instrument_id(f"XSIM:{name}"), name)
    mids = [chance.randrange(1_000, 9_000_000) for _ in names]
    for number in range(count):
        market.now_ns += 200_000
        place = chance.randrange(symbols)
        mids[place] += chance.choice((-1, 0, 0, 1))
        rows = walk(f"XSIM:{names[place]}", mids[place], chance, number)
        rows["ts_recv"] = market.now_ns
        rows["ts_event"] = market.now_ns - 1_000_000
        market.hub.apply(record_bytes(rows), market.now_ns)
        market.records += len(rows)
        if number % 25 == 0:
            market.flush()
    return market


def walk(name: str, mid: int, chance: random.Random, number: int) -> Records:
    """A trade, or a new best bid and ask."""
    rows = empty_records(1 if number % 4 == 0 else 2)
    rows["instrument"] = _native.instrument_id(name)
    rows["price_scale"] = 2
    rows["size_scale"] = 5
    rows["size"] = [chance.randrange(1, 5_000_000) for _ in rows]
    if len(rows) == 1:
        rows["kind"], rows["price"], rows["id"], rows["side"] = Kind.TRADE, mid, number, 1 + number % 2
    else:
        rows["kind"], rows["price"] = (Kind.BID, Kind.ASK), (mid - 1, mid + 1)
    rows["flags"][-1] = Flag.LAST_OF_EVENT
    return rows


def compression(texts: list[bytes]) -> dict[str, Any]:
    """permessage-deflate with its context kept (RFC 7692), one stream a client, as servers set it."""
    total = sum(map(len, texts))
    found: dict[str, Any] = {"messages": len(texts), "bytes": total}
    if not total:
        return found
    for name, level, bits, memory in (("level 6, 32 KiB", 6, 15, 8), ("level 1, 4 KiB", 1, 12, 5)):
        stream = zlib.compressobj(level, zlib.DEFLATED, -bits, memory)
        began = time.process_time()
        out = 0
        for text in texts:
            # The four bytes that end each flush are not sent.
            out += len(stream.compress(text)) + len(stream.flush(zlib.Z_SYNC_FLUSH)) - 4
        took = time.process_time() - began
        found[name] = {
            "ratio": round(total / out, 2),
            "cpu_ms_per_mb": round(1000 * took / (total / 1e6), 1),
            "us_per_message": round(1e6 * took / len(texts), 2),
            "kib_per_client": stream_kib(level, bits, memory),
        }
    return found


def stream_kib(level: int, bits: int, memory: int, count: int = 2000) -> float:
    """Resident memory of one compressor that has been used, measured over many."""
    before = resident_kib()
    streams = [zlib.compressobj(level, zlib.DEFLATED, -bits, memory) for _ in range(count)]
    text = os.urandom(1 << 16)
    for stream in streams:
        stream.compress(text[: 1 << bits])
        stream.flush(zlib.Z_SYNC_FLUSH)
    return round((resident_kib() - before) / count, 1)


def resident_kib() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def recorded(folder: Path, records_max: int) -> dict[str, Market]:
    """Every session of the folder that there is."""
    markets = {}
    for venue, pattern in SESSIONS.items():
        files = sorted(folder.glob(pattern))
        if not files:
            print(f"{venue}: no recording below {folder}")
            continue
        market = Market(venue, records_max)
        decode(venue, [str(files[0])], market, Options(depth=50, begins=True))
        markets[venue] = market
    return markets


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--captures", type=Path, default=os.environ.get("TICKCAST_CAPTURES"))
    arguments.add_argument("--records", type=int, default=100_000, help="rows of each session at most")
    arguments.add_argument("--json", type=Path)
    chosen = arguments.parse_args()
    if chosen.captures is None:
        markets = {"simulated": simulated(chosen.records)}
    else:
        markets = recorded(Path(chosen.captures), chosen.records)
    result: dict[str, Any] = {"benchmark": "bytes", "machine": machine.facts(), "sessions": {}}
    texts: list[bytes] = []
    for name, market in markets.items():
        found = result["sessions"][name] = market.result()
        texts += market.readers["price"].texts[:50_000]
        print(f"\n{name}: {found['records']:,} records, {found['symbols']} symbols")
        for channel, sizes in found["channels"].items():
            print(f"  {channel:8} {sizes['updates']:>8,} updates, whole state as JSON {sizes['whole_json_bytes']:>8}")
            for codec, size in sizes["codecs"].items():
                print(f"    {codec:8} {size['bytes']:>8} bytes each, {size['fewer_percent']:>5} % fewer")
    result["compression"] = compression(texts)
    print(
        f"\npermessage-deflate of one client's updates of price as JSON: {json.dumps(result['compression'], indent=2)}"
    )
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
