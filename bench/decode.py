"""ITCH messages decoded per CPU-second, books and records included: one JSON object, then a table.

    python bench/decode.py [--messages 1000000] [--stocks 500] [--chunk 2000]

The stream is synthetic and seeded: 46 % adds, 39 % deletes, 8 % executions and cancels, 5 % replaces, 2 % hidden
trades; ``--file`` takes a recorded one instead (each message preceded by its length).
"""

import argparse
import gzip
import json
import os
import platform
import random
import struct
import time
from pathlib import Path

from tickcast import _native


def stream(count: int, stocks: int, seed: int) -> bytes:
    """``count`` messages with consistent books."""
    rng = random.Random(seed)
    out: list[bytes] = []
    orders: list[tuple[int, int]] = []
    names = [f"S{index:<7}".encode() for index in range(stocks)]
    head = struct.Struct(">HcHHHI").pack
    for number in range(1, count + 1):
        choice = rng.random()
        if choice < 0.02:
            locate = rng.randrange(stocks)
            body = struct.pack(">QcI8sIQ", 0, b"B", 100, names[locate], 1_000_000, number)
            letter = b"P"
        elif choice < 0.48 or len(orders) < 400:
            locate = rng.randrange(stocks)
            side, base = (b"B", 999_900) if rng.random() < 0.5 else (b"S", 1_000_000)
            away = min(int(rng.expovariate(0.15)), 60) * 100
            price = base - away if side == b"B" else base + away
            body = struct.pack(">QcI8sI", number, side, 100 + number % 5 * 100, names[locate], price)
            letter = b"A"
            orders.append((number, locate))
        else:
            at = rng.randrange(len(orders))
            reference, locate = orders[at]
            if choice < 0.87:
                letter, body = b"D", struct.pack(">Q", reference)
                orders[at] = orders[-1]
                orders.pop()
            elif choice < 0.93:
                letter, body = b"E", struct.pack(">QIQ", reference, 1, number)
            elif choice < 0.95:
                letter, body = b"X", struct.pack(">QI", reference, 1)
            else:
                letter, body = b"U", struct.pack(">QQII", reference, number, 100, 990_000 + number % 50 * 100)
                orders[at] = (number, locate)
        out.append(head(11 + len(body), letter, locate, 0, number >> 32, number & 0xFFFFFFFF) + body)
    return b"".join(out)


def chunks(block: bytes, size: int) -> list[bytes]:
    """Cut between messages, ``size`` messages each."""
    found, start, offset, count = [], 0, 0, 0
    while offset < len(block):
        offset += 2 + int.from_bytes(block[offset : offset + 2], "big")
        count += 1
        if count == size:
            found.append(block[start:offset])
            start, count = offset, 0
    return [*found, block[start:]] if start < offset else found


def measure(parts: list[bytes], repeats: int) -> dict[str, float]:
    """Best of some runs, each with a decoder of its own."""
    best: dict[str, float] = {}
    for _ in range(repeats):
        decoder = _native.ItchDecoder("XNAS", 0)
        messages = records = unpriced = 0
        start = time.process_time()
        for part in parts:
            decoded = decoder.decode(part, messages + 1, 0)
            messages += decoded.messages
            records += len(decoded.records) // 64
            unpriced += decoded.unpriced
        seconds = time.process_time() - start
        found: dict[str, float] = {
            "messages": messages,
            "records": records,
            "unpriced": unpriced,
            "orders_open": decoder.orders,
        }
        found |= {"cpu_seconds": round(seconds, 4), "messages_per_cpu_second": round(messages / seconds)}
        if not best or found["messages_per_cpu_second"] > best["messages_per_cpu_second"]:
            best = found
    return best


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--stocks", type=int, default=500)
    parser.add_argument("--chunk", type=int, default=2000, help="messages a call")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--file", type=Path, help="a recorded file instead, plain or .gz")
    options = parser.parse_args()
    if options.file:
        block = options.file.read_bytes()
        block = gzip.decompress(block) if options.file.suffix == ".gz" else block
    else:
        block = stream(options.messages, options.stocks, options.seed)
    result = {
        "benchmark": "decode",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "input": options.file.name if options.file else {"stocks": options.stocks, "seed": options.seed},
        "chunk_messages": options.chunk,
        **measure(chunks(block, options.chunk), options.repeats),
    }
    if options.json:
        options.json.write_text(json.dumps(result) + "\n", encoding="utf-8")
    else:
        print(json.dumps(result))
    for key in ("messages", "records", "orders_open", "cpu_seconds", "messages_per_cpu_second"):
        print(f"{key:<26}{result[key]:>16,}")


if __name__ == "__main__":
    main()
