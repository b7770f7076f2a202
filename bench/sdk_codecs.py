"""What a codec costs the reader of a browser: the same updates in each, read by the SDK for TypeScript in Node.

::

    python bench/sdk_codecs.py                # messages as a real gateway sends them; a minute

A client of each codec watches the same market on a gateway of this process, at 20 updates a second; its messages are
kept and read again and again by ``bench/sdk_codecs.mjs``, whose engine (V8) is Chromium's. ``bench/sdk_sizes.mjs`` then
says what a page carries for it.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect

from tickcast.proto import tickcast_pb2 as wire
from tickcast.testing.gateway import RunningGateway, running_gateway

SCRIPT = Path(__file__).with_suffix(".mjs")
SIZES = SCRIPT.with_name("sdk_sizes.mjs")
CODECS = {
    "json": ("tickcast.json", "numbers=string&batch=1"),
    "msgpack": ("tickcast.msgpack", "batch=1&compact=1"),
    "proto": ("tickcast.proto", "batch=1"),
}
NAMES = tuple(f"XNAS:S{number:03}" for number in range(100))
REQUESTS = (
    {"channel": "price", "rate": 20},
    {"channel": "trades"},
    {"channel": "book", "depth": 10, "rate": 20},
)


async def listen(gateway: RunningGateway, codec: str, kept: list[str | bytes], *, ready: asyncio.Event) -> None:
    """Keep every message of one client that watches everything."""
    subprotocol, query = CODECS[codec]
    async with connect(f"{gateway.stream_url}?{query}", subprotocols=[subprotocol], max_size=None) as socket:
        for number, terms in enumerate(REQUESTS):
            asked = {"action": "subscribe", "id": number, "symbols": list(NAMES), **terms}
            await socket.send(request(codec, asked))
        ready.set()
        async for message in socket:
            kept.append(message)  # noqa: PERF401  a comprehension would lose all of them when it is cancelled


def request(codec: str, body: dict[str, object]) -> str | bytes:
    """The request as the codec writes it."""
    if codec == "json":
        return json.dumps(body)
    if codec == "msgpack":
        return msgspec.msgpack.encode(body)
    frame = wire.ClientFrame()
    frame.id.number = int(str(body["id"]))
    frame.subscribe.channel = str(body["channel"])
    frame.subscribe.symbols.extend(NAMES)
    return frame.SerializeToString()


async def record(seconds: float) -> dict[str, list[str | bytes]]:
    """Messages by codec, of the same updates."""
    kept: dict[str, list[str | bytes]] = {codec: [] for codec in CODECS}
    draw = random.Random(1)
    async with running_gateway(names=NAMES) as gateway:
        ready = [asyncio.Event() for _ in CODECS]
        tasks = [
            asyncio.create_task(listen(gateway, codec, kept[codec], ready=flag))
            for codec, flag in zip(CODECS, ready, strict=True)
        ]
        async with asyncio.timeout(30):
            for flag in ready:
                await flag.wait()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            for name in draw.sample(NAMES, 20):
                price = 18_500 + draw.randrange(200)
                gateway.trade(name, f"{price / 100:.2f}", str(draw.randrange(1, 900)))
                bid, ask = f"{(price - 1) / 100:.2f}", f"{(price + 1) / 100:.2f}"
                gateway.quote(name, (bid, str(draw.randrange(1, 900))), (ask, str(draw.randrange(1, 900))))
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return kept


def main() -> None:
    """Record, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of updates that are recorded")
    options = parser.parse_args()
    node = shutil.which("node")
    if node is None:
        raise SystemExit("needs node")
    kept = asyncio.run(record(options.seconds))
    with tempfile.TemporaryDirectory() as folder:
        for codec, messages in kept.items():
            with (Path(folder) / codec).open("wb") as file:
                for message in messages:
                    body = message.encode() if isinstance(message, str) else message
                    file.write(len(body).to_bytes(4, "big") + body)
        subprocess.run([node, str(SCRIPT), folder], check=True)
        subprocess.run([node, str(SIZES)], check=True)


if __name__ == "__main__":
    main()
