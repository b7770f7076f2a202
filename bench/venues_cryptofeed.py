"""What cryptofeed makes of recorded sessions, in messages per CPU-second: the peer of bench/crypto.py.

    build/witnesses/bin/python bench/venues_cryptofeed.py VENUE FILE [--seconds 2] [--checksums]

Runs in the virtual environment of the witnesses, where cryptofeed is. It is set up as its own playback does it: its
REST reads are answered from the recording, its handlers get the recorded frames in order, and every callback does
nothing. Only the time in the handlers counts. Prints one JSON object.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import lzma
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptofeed import connection
from cryptofeed.exceptions import UnsupportedDataFeed
from cryptofeed.exchanges import EXCHANGE_MAP
from cryptofeed.symbols import Symbols

NAMES = {"OKX": "OKX", "CRYPTO_COM": "CRYPTO.COM"}


FIELDS = re.compile(r'"(?:s|instId|product_id|symbol|instrument_name|currency_pair|contract)"\s*:\s*"([^"]+)"')
"""Where the venues' frames name their instruments."""
TYPES = {"BINANCE_FUTURES": "perpetual", "GATEIO_FUTURES": "perpetual"}
LISTED = frozenset({"KRAKEN", "KRAKEN_FUTURES", "BITSTAMP", "HUOBI", "HUOBI_SWAP", "BITGET"})
"""Venues whose list of instruments was recorded as cryptofeed reads it."""
NAMING = ("symbol", "currency_pair", "contract")
"""Parameters of REST addresses that name an instrument."""


class Recording:
    """One session file."""

    def __init__(self, path: Path) -> None:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.header = lines[0]
        self.frames = [
            (line["conn"], line["data"] if "data" in line else base64.b64decode(line["b64"]), line["ts"])
            for line in lines
            if line["t"] == "recv" and ("data" in line or "b64" in line)
        ]
        self.answers: dict[str, list[str]] = defaultdict(list)
        for line in lines:
            if line["t"] == "http":
                self.answers[line["url"]].append(line["data"])

    def symbols(self, venue: str) -> dict[str, str]:
        """Map the recorder's names to the venue's; where the frames say none of it, a name stands for itself."""
        asked = {name for names in self.header["config"].values() for name in names}
        if venue in LISTED:
            return {}
        native = {name for _, data, _ in self.frames for name in FIELDS.findall(data)}
        known = {name.replace("-", "").removesuffix("PERP"): name for name in sorted(asked, reverse=True)}
        return {known.get(name, name): name for name in native} or dict.fromkeys(asked, "")

    def reads(self) -> dict[str, list[str]]:
        return {url: list(answers) for url, answers in self.answers.items()}


class Reader:
    """Stands in for cryptofeed's connections."""

    uuid = "1"
    conn_type = "wss"
    address = "wss://stream.bybit.com/v5/public/linear"

    def __init__(self, recording: Recording) -> None:
        self.answers = recording.reads()
        self.subscription: Any = None

    async def write(self, *_: Any, **__: Any) -> None:
        """What it would send."""

    async def read(self, url: str, *_: Any, **__: Any) -> str:
        return self.sync(url)

    def sync(self, url: str, *_: Any, **kwargs: Any) -> Any:
        answer = self._find(url)
        return json.loads(answer) if kwargs.get("json") else answer

    def _find(self, url: str) -> str:
        if answers := self.answers.get(url):
            return answers.pop(0) if len(answers) > 1 else answers[0]
        wanted = urlsplit(url)
        symbol = named_in(wanted.query)
        for known, answers in self.answers.items():
            parts = urlsplit(known)
            is_same = parts.path.rpartition("/")[2] == wanted.path.rpartition("/")[2]
            if answers and is_same and named_in(parts.query) == symbol:
                return answers.pop(0) if len(answers) > 1 else answers[0]
        raise LookupError(f"not in the recording: {url}")


def named_in(query: str) -> list[str] | None:
    """The instrument that a query names."""
    found = parse_qs(query)
    return next((found[name] for name in NAMING if name in found), None)


def is_never(channel: str) -> bool:
    """Say that no channel needs a login."""
    del channel
    return False


def gives(kind: Any, channel: str) -> bool:
    """Whether cryptofeed reads such a channel at this venue."""
    try:
        kind.std_channel_to_exchange(channel)
    except UnsupportedDataFeed:
        return False
    return True


async def once(venue: str, recording: Recording, *, checksums: bool) -> tuple[int, float, dict[str, int]]:
    """Play once: frames, CPU seconds in the handlers, callbacks by channel."""
    reader = Reader(recording)
    connection.HTTPAsyncConn.read = reader.read
    connection.HTTPSync.read = reader.sync
    Symbols.clear()
    told: dict[str, int] = defaultdict(int)

    def callback(channel: str) -> Any:
        async def called(*_: Any) -> None:
            told[channel] += 1

        return called

    config = {name: list(symbols) for name, symbols in recording.header["config"].items()}
    kind = EXCHANGE_MAP[NAMES.get(venue, venue)]
    kind.is_authenticated_channel = staticmethod(is_never)  # Deribit's raw book was public then
    mapping = recording.symbols(venue)
    if mapping:
        Symbols.set(kind.id, mapping, {"instrument_type": dict.fromkeys(mapping, TYPES.get(venue, "spot"))})
        config = {
            name: list(mapping) for name in config if name in {"l2_book", "trades", "ticker"} and gives(kind, name)
        }
    feed = kind(
        candle_closed_only=False,
        checksum_validation=checksums,
        subscription=config,
        callbacks={channel: callback(channel) for channel in config},
        config={"log": {"disabled": True, "filename": "", "level": "WARNING"}},
    )
    handlers = []
    for conn, subscribe, handler, _ in feed.connect():
        reader.subscription = getattr(conn, "subscription", None) or feed.subscription
        with contextlib.suppress(TypeError, KeyError):  # Coinbase wants keys to subscribe; its handler needs none
            await subscribe(reader)
        handlers.append(handler)
    numbers = {conn: index for index, conn in enumerate(dict.fromkeys(conn for conn, _, _ in recording.frames))}
    failed = 0
    begin = time.process_time()
    for conn, data, ts in recording.frames:
        try:
            await handlers[min(numbers[conn], len(handlers) - 1)](data, reader, ts)
        except Exception:
            failed += 1
            if failed > len(recording.frames) // 10:
                raise
    used_s = time.process_time() - begin
    feed.stop()
    await feed.shutdown()
    return len(recording.frames), used_s, {**told, "failed": failed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venue")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--checksums", action="store_true", help="have it verify them")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    recording = Recording(options.file)
    rates, told, end = [], {}, time.monotonic() + options.seconds
    while not rates or time.monotonic() < end:
        count, used_s, told = asyncio.run(once(options.venue, recording, checksums=options.checksums))
        rates.append(count / used_s)
    print(json.dumps({"frames": count, "best": max(rates), "rounds": len(rates), "callbacks": told}))


if __name__ == "__main__":
    main()
