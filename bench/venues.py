"""What decoding costs: messages per CPU-second from raw bytes to batches, of a TCP venue and of a polled one.

    python bench/venues.py [--seconds 3] [--json FILE]

ITCH is made up (adds, executions, deletes of 100 stocks), so are the answers of XSIM. Each figure is the best of the
rounds that fit into the time: the machine is shared, so compare figures of one run only. JSON venues are in
crypto.py, frames through a WebSocket in websocket.py.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import machine
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.venues.base import Answer, Step, VenueConfig
from tickcast.venues.registry import open_session


def best(work: Callable[[], int], seconds: float) -> float:
    """Messages per CPU-second of the best round."""
    rate, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.process_time()
        count = work()
        rate = max(rate, count / (time.process_time() - start))
    return rate


def publish(pipeline: Pipeline, step: Step, now: int) -> int:
    batches = pipeline.accept(
        b"".join(step.records),
        received_ns=now,
        decoded_ns=now_ns(),
        definitions=step.definitions,
        texts=step.texts,
        new_session=step.new_session,
    )
    return sum(len(batch.records) for batch in batches)


def itch_stream(count: int) -> bytes:
    """SoupBinTCP packets: 100 stocks, then adds, executions and deletes."""
    dice = random.Random(1)
    out = list[bytes]()

    def message(kind: bytes, locate: int, body: bytes) -> None:
        payload = kind + locate.to_bytes(2, "big") + b"\0\0" + (36_000_000_000_000 + len(out)).to_bytes(6, "big") + body
        out.append((len(payload) + 1).to_bytes(2, "big") + b"S" + payload)

    for stock in range(100):
        name = f"T{stock}".encode().ljust(8)
        message(b"R", stock, name + b"QN" + (100).to_bytes(4, "big") + b"NCZ PNN1N" + b"\0\0\0\0N")
    live = list[tuple[int, int]]()
    for ref in range(1, count):
        stock, roll = dice.randrange(100), dice.random()
        if roll < 0.5 or len(live) < 1000:
            side, price = dice.choice([(b"B", 990_000), (b"S", 1_000_000)])
            price += dice.randrange(100) * 100
            body = ref.to_bytes(8, "big") + side + (100).to_bytes(4, "big") + f"T{stock}".encode().ljust(8)
            message(b"A", stock, body + price.to_bytes(4, "big"))
            live.append((ref, stock))
            continue
        order, stock = live.pop(dice.randrange(len(live)))
        if roll < 0.6:
            message(b"E", stock, order.to_bytes(8, "big") + (100).to_bytes(4, "big") + ref.to_bytes(8, "big"))
        else:
            message(b"D", stock, order.to_bytes(8, "big"))
    return b"".join(out)


def xnas(stream: bytes, count: int) -> int:
    """One pass through session and pipeline, in reads of 64 KiB."""
    session = open_session("bench", VenueConfig(venue="XNAS", address="x:1", date="2020-01-30"), {})
    pipeline = Pipeline("bench")
    session.opened("tape", 0)
    session.received("tape", [b"\x00\x1fA" + f"{'S1':>10}{1:>20}".encode()], [now_ns()])
    done = 0
    for start in range(0, len(stream), 65_536):
        now = now_ns()
        step = session.received("tape", [stream[start : start + 65_536]], [now])
        done += step.messages
        publish(pipeline, step, now)
    if done < count:
        raise SystemExit(f"expected {count} messages, found {done}")
    return done


def xsim_answers() -> list[bytes]:
    """Instruments, then answers of 500 tickers and 500 trades each."""
    names = [f"S{number}" for number in range(500)]
    listed = {"instruments": [{"symbol": name, "class": "equity", "currency": "USD"} for name in names]}
    when, bodies = "2026-03-29T14:30:01.234567Z", [json.dumps(listed).encode()]
    for turn in range(5):
        quote = {"bid": f"9.{turn}0", "bid_size": "5", "ask": "10.00", "ask_size": "5", "status": "open", "time": when}
        trade = {"price": "9.95", "size": "3", "side": "buy", "time": when}
        tickers = [{"symbol": name, **quote} for name in names]
        trades = [{"id": f"T-{turn}-{name}", "symbol": name, **trade} for name in names]
        bodies.append(json.dumps({"cursor": str(turn), "tickers": tickers, "trades": trades}).encode())
    return bodies


def xsim(bodies: list[bytes]) -> int:
    """One pass through session and pipeline."""
    session = open_session("bench", VenueConfig(venue="XSIM", rest_url="http://x"), {})
    pipeline = Pipeline("bench")
    now, done = now_ns(), 0
    (request,) = session.start(now).requests
    for body in bodies:
        step = session.answered(request, Answer(status=200, body=body, received_ns=now))
        (request,) = step.requests
        publish(pipeline, step, now)
        done += step.messages
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    asked, facts = parser.parse_args(), machine.facts()
    stream, answered = itch_stream(100_000), xsim_answers()
    figures = {
        "xnas_messages": best(lambda: xnas(stream, 100_000), asked.seconds),
        "xsim_entries": best(lambda: xsim(answered), asked.seconds),
    }
    for name, figure in figures.items():
        print(f"{name:32} {figure:14,.0f} per CPU-second")
    if asked.json:
        figures_rounded = {name: round(figure) for name, figure in figures.items()}
        asked.json.write_text(
            json.dumps({"benchmark": "venues", "machine": facts, "per_cpu_second": figures_rounded}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
