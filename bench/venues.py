"""What decoding costs: messages per CPU-second from raw bytes to batches, venue by venue, and per WebSocket client.

    python bench/venues.py [--seconds 3] [--captures DIR] [--json FILE]

Binance frames are those of a recorded session where there is one ($TICKCAST_CAPTURES), otherwise made up; ITCH is made
up (adds, executions, deletes of 100 stocks). Each figure is the best of the rounds that fit into the time: the machine
is shared, so compare figures of one run only.
"""

import argparse
import asyncio
import json
import lzma
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import picows
import uvloop
import websockets.asyncio.client
import websockets.asyncio.server

import machine
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.venues.base import Answer, Session, Step, VenueConfig
from tickcast.venues.registry import open_session

SESSION = "cryptofeed/BINANCE/BINANCE_20210405T183323Z.jsonl.xz"
READ = 64
"""Messages of one read, roughly what a busy socket brings."""


def best(work: Callable[[], int], seconds: float) -> float:
    """Messages per CPU-second of the best round."""
    rate, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.process_time()
        count = work()
        rate = max(rate, count / (time.process_time() - start))
    return rate


def reads(frames: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(frames), READ):
        yield frames[start : start + READ]


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


def binance(symbols: tuple[str, ...], answers: dict[str, bytes], frames: list[bytes]) -> int:
    """One pass: session and pipeline from nothing, snapshots first, then every frame."""
    config = VenueConfig(
        venue="BINANCE",
        url="ws://x",
        rest_url="http://x",
        symbols=symbols,
        streams=("trade", "quote", "book"),
        aggregate_trades=True,
    )
    session: Session = open_session("bench", config, {})
    pipeline = Pipeline("bench")
    now = now_ns()
    (request,) = session.start(now).requests
    publish(pipeline, session.answered(request, Answer(status=404, body=b"", received_ns=now)), now)
    session.opened("streams-1", now)
    confirmed = session.received("streams-1", [b'{"result":null,"id":1}'], [now])
    for asked in confirmed.requests:
        body = answers.get(asked.url.partition("symbol=")[2].partition("&")[0])
        if body is not None:
            publish(pipeline, session.answered(asked, Answer(status=200, body=body, received_ns=now)), now)
    dead = 0
    for chunk in reads(frames):
        now = now_ns()
        step = session.received("streams-1", chunk, [now] * len(chunk))
        dead += step.dead_count
        publish(pipeline, step, now)
    if dead:
        raise SystemExit(f"{dead} frames were not understood")
    return len(frames)


def recorded(path: Path) -> tuple[tuple[str, ...], dict[str, bytes], list[bytes]]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    answers = {
        line["url"].partition("symbol=")[2].partition("&")[0]: line["data"].encode()
        for line in lines
        if line["t"] == "http" and "symbol=" in line["url"]
    }
    frames = [line["data"].encode() for line in lines if line["t"] == "recv"]
    return tuple(lines[0]["config"]["l2_book"]), answers, frames


def made_up() -> tuple[tuple[str, ...], dict[str, bytes], list[bytes]]:
    dice = random.Random(1)
    symbols = tuple(f"C{number}-USDT" for number in range(10))
    names = [symbol.replace("-", "") for symbol in symbols]
    book = {"lastUpdateId": 0, "bids": [["100.00", "1.0"]], "asks": [["200.00", "1.0"]]}
    answers = {name: json.dumps(book).encode() for name in names}
    ids, frames = dict.fromkeys(names, 0), list[bytes]()
    for number in range(12_000):
        name = dice.choice(names)
        price, size = f"{dice.randrange(10000, 14000) / 100:.2f}000000", f"{dice.randrange(1, 9999) / 1000:.3f}00000"
        kind, data = "bookTicker", dict[str, Any]()
        if number % 10 < 5:
            data = {"u": number, "s": name, "b": price, "B": size, "a": "150.00000000", "A": size}
        elif number % 10 < 9:
            kind = "depth@100ms"
            ids[name] += 3
            levels = [[f"{dice.randrange(10000, 14000) / 100:.2f}000000", size] for _ in range(8)]
            data = {
                "e": "depthUpdate",
                "E": number,
                "s": name,
                "U": ids[name] - 2,
                "u": ids[name],
                "b": levels,
                "a": [],
            }
        else:
            kind = "aggTrade"
            data = {"e": kind, "E": 1, "s": name, "a": number, "p": price, "q": size, "T": 1, "m": True, "M": True}
        frames.append(json.dumps({"stream": f"{name.lower()}@{kind}", "data": data}, separators=(",", ":")).encode())
    return symbols, answers, frames


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


# ------------------------------------------------------------------ WebSocket clients


class Counting(picows.WSListener):
    """Takes each frame as bytes, as the connector does."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.left = total
        self.done = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        frame.get_payload_as_bytes()
        self.left -= 1
        if not self.left:
            transport.disconnect()
            self.done.set_result(None)


def client_cost(frames: list[bytes], *, use_picows: bool) -> float:
    """Frames per CPU-second of the client alone: the server is another process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        uvloop.run(_serve(frames, write_end))
        os._exit(0)
    port = int(os.read(read_end, 16))
    total = len(frames)
    start = time.process_time()
    uvloop.run(_count(port, total, use_picows=use_picows))
    cost = time.process_time() - start
    os.waitpid(child, 0)
    return total / cost


async def _serve(frames: list[bytes], write_end: int) -> None:
    over = asyncio.get_running_loop().create_future()

    class Sending(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            for frame in frames:
                transport.send(picows.WSMsgType.TEXT, frame)

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            del transport
            over.set_result(None)

    server = await picows.ws_create_server(lambda _: Sending(), "127.0.0.1", 0)
    os.write(write_end, str(server.sockets[0].getsockname()[1]).encode())
    await over
    server.close()


async def _count(port: int, total: int, *, use_picows: bool) -> None:
    url = f"ws://127.0.0.1:{port}/"
    if use_picows:
        _, listener = await picows.ws_connect(lambda: Counting(total), url)
        if isinstance(listener, Counting):
            await listener.done
        return
    async with websockets.asyncio.client.connect(url, compression=None, max_queue=None) as link:
        for _ in range(total):
            await link.recv(decode=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--captures", default=os.environ.get("TICKCAST_CAPTURES", ""))
    parser.add_argument("--json", type=Path)
    asked, facts = parser.parse_args(), machine.facts()
    path = Path(asked.captures) / SESSION
    has_capture = bool(asked.captures) and path.is_file()
    symbols, answers, frames = recorded(path) if has_capture else made_up()
    stream, answered = itch_stream(100_000), xsim_answers()
    figures = {
        f"binance_frames_{'recorded' if has_capture else 'made_up'}": best(
            lambda: binance(symbols, answers, frames), asked.seconds
        ),
        "xnas_messages": best(lambda: xnas(stream, 100_000), asked.seconds),
        "xsim_entries": best(lambda: xsim(answered), asked.seconds),
        "websocket_picows_frames": client_cost(frames * 5, use_picows=True),
        "websocket_websockets_frames": client_cost(frames * 5, use_picows=False),
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
