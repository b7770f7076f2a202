"""Playback: what was recorded comes out, and clients of any pass can sync."""

import asyncio
import gzip
import json
import lzma
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from tests.sim.soup_client import SoupClient

from tickcast.model.errors import UsageError
from tickcast.sim.config import BinanceConfig, Config, RecordedConfig, SoupItchConfig
from tickcast.sim.recorded.files import check_itch, find, itch_messages, read_binance
from tickcast.sim.recorded.pacing import Pacing
from tickcast.sim.server import Simulator

CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES", Path(__file__).parents[3] / "../shared/captures")).resolve()
needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures: set TICKCAST_CAPTURES")

SYSTEM_EVENT = b"S" + bytes(4) + (34_200_000_000_000).to_bytes(6, "big") + b"Q"
DELETE = b"D" + bytes(4) + (34_200_000_100_000).to_bytes(6, "big") + (7).to_bytes(8, "big")


def itch_file(path: Path, *messages: bytes, tail: bytes = b"") -> Path:
    path.write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in messages) + tail)
    return path


@asynccontextmanager
async def playing(path: Path, **options: Any) -> AsyncIterator[tuple[Simulator, dict[str, Any]]]:
    config = Config(recorded=RecordedConfig(path=str(path), **options))
    simulator = Simulator(config)
    ready = await simulator.start()
    try:
        yield simulator, ready
    finally:
        await simulator.stop()


def test_pacing_keeps_distances_shortens_gaps_and_scales() -> None:
    pacing = Pacing(speed=2.0, max_gap_ms=1000.0)
    assert [pacing.due_ns(ts) for ts in (5_000, 7_000, 7_000, 9_000_007_000)] == [0, 1_000, 1_000, 500_001_000]
    everything = Pacing(speed=0.0, max_gap_ms=1000.0)
    assert [everything.due_ns(ts) for ts in (1, 10**12)] == [0, 0]


def test_itch_file_is_read_plain_and_gzipped(tmp_path: Path) -> None:
    plain = itch_file(tmp_path / "a.itch50", SYSTEM_EVENT, DELETE)
    packed = tmp_path / "b.itch50.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        assert list(itch_messages(path)) == [(34_200_000_000_000, SYSTEM_EVENT), (34_200_000_100_000, DELETE)]


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (b"\x00\x05Zabcd", "byte 35: expected an ITCH 5.0 message, found type b'Z' of 5 bytes"),
        (b"\x00\x0bS0123456789", "byte 35: expected an ITCH 5.0 message, found type b'S' of 11 bytes"),
        (b"\x00\x0cS01", "byte 35: expected a whole message, found 5 bytes and the end of the file"),
        (b"\x00\x00", "byte 35: expected an ITCH 5.0 message, found type b'' of 0 bytes"),
    ],
)
def test_damaged_itch_file_is_named_with_its_position(tmp_path: Path, tail: bytes, says: str) -> None:
    path = itch_file(tmp_path / "bad.itch50", SYSTEM_EVENT, DELETE, tail=tail)
    with pytest.raises(UsageError) as wrong:
        check_itch(path, most=100)
    assert str(path) in str(wrong.value)
    assert says in str(wrong.value)


def test_what_is_no_gzip_and_what_is_empty_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.itch50.gz"
    path.write_bytes(b"plain text")
    with pytest.raises(UsageError, match="readable ITCH file"):
        check_itch(path, most=10)
    empty = itch_file(tmp_path / "empty.itch50")
    with pytest.raises(UsageError, match="expected ITCH messages, found none"):
        check_itch(empty, most=10)


def test_wrong_capture_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "BINANCE_1.jsonl.xz"
    path.write_bytes(lzma.compress(b'{"t":"header","config":{}}\n{"t":"recv","ts":1,"data":5}\n'))
    with pytest.raises(UsageError, match="line 2"):
        read_binance([path])
    path.write_bytes(lzma.compress(b"cut")[:-5])
    with pytest.raises(UsageError, match="expected a readable file"):
        read_binance([path])


async def test_a_folder_without_recordings_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a recording"):
        await Simulator(Config(recorded=RecordedConfig(path=str(tmp_path)))).start()
    with pytest.raises(UsageError, match="found no"):
        await Simulator(Config(recorded=RecordedConfig(path=str(tmp_path / "none")))).start()


async def test_loop_is_a_new_session_from_sequence_one(tmp_path: Path) -> None:
    itch_file(tmp_path / "day.itch50", SYSTEM_EVENT, DELETE)
    async with playing(tmp_path, speed=0.0) as (_, ready):
        sessions = []
        for _ in range(2):
            client = await SoupClient.connect(ready["venues"]["XNAS"]["address"])
            assert await client.login() == b"A"
            assert client.sequence == 1
            await client.read_until(lambda one: (b"Z", b"") in one.control)
            assert client.messages == [SYSTEM_EVENT, DELETE]
            sessions.append(client.session)
            await client.close()
        assert sessions[0] != sessions[1]


async def test_once_ends_quietly_and_late_clients_get_it_all(tmp_path: Path) -> None:
    itch_file(tmp_path / "day.itch50", SYSTEM_EVENT, DELETE)
    async with playing(tmp_path, speed=0.0, loop=False) as (simulator, ready):
        for _ in range(2):
            client = await SoupClient.connect(ready["venues"]["XNAS"]["address"])
            assert await client.login() == b"A"
            await client.read_until(lambda one: len(one.messages) == 2)
            await client.read_until(lambda one: (b"H", b"") in one.control)
            await client.close()
        progress = simulator.playbacks["XNAS"].state()
        assert (progress["done"], progress["passes"]) == (True, 1)


@needs_captures
@pytest.mark.captures
async def test_recorded_itch_comes_out_unchanged() -> None:
    config = Config(
        recorded=RecordedConfig(path=str(CAPTURES), speed=0.0, loop=False), venues={"XNAS": SoupItchConfig()}
    )
    simulator = Simulator(config)
    ready = await simulator.start()
    path = find(CAPTURES, ("itch/nasdaq_20200130_AAPL*",))
    assert path is not None
    expected = [message for _, message in itch_messages(path)]
    try:
        client = await SoupClient.connect(ready["venues"]["XNAS"]["address"])
        assert await client.login() == b"A"
        await client.read_until(lambda one: len(one.messages) >= len(expected))
        assert client.messages == expected
        await client.close()
    finally:
        await simulator.stop()


def apply(book: tuple[dict[str, str], dict[str, str]], update: dict[str, Any]) -> None:
    for side, levels in ((0, update["b"]), (1, update["a"])):
        for price, size in levels:
            if float(size):
                book[side][price] = size
            else:
                book[side].pop(price, None)


@needs_captures
@pytest.mark.captures
async def test_a_late_client_of_a_recorded_pass_still_syncs() -> None:
    config = Config(
        recorded=RecordedConfig(path=str(CAPTURES), speed=400.0, loop=False), venues={"BINANCE": BinanceConfig()}
    )
    simulator = Simulator(config)
    ready = await simulator.start()
    try:
        async with (
            asyncio.timeout(30),
            websockets.connect(
                ready["venues"]["BINANCE"]["url"] + "/stream?streams=zilusdt@depth@100ms", max_size=None
            ) as socket,
            aiohttp.ClientSession() as http,
        ):
            for _ in range(200):
                first = json.loads(await socket.recv())
            assert first["stream"] == "zilusdt@depth@100ms"
            url = ready["venues"]["BINANCE"]["rest_url"] + "/api/v3/depth?symbol=ZILUSDT&limit=1000"
            async with http.get(url) as answer:
                snapshot = await answer.json()
            last = snapshot["lastUpdateId"]
            book = (dict(map(tuple, snapshot["bids"])), dict(map(tuple, snapshot["asks"])))
            applied = 0
            while applied < 50:
                update = json.loads(await socket.recv())["data"]
                if update["u"] <= last:
                    continue
                assert update["U"] <= last + 1
                apply(book, update)
                last, applied = update["u"], applied + 1
            assert max(map(float, book[0])) < min(map(float, book[1]))
    finally:
        await simulator.stop()


@needs_captures
@pytest.mark.captures
async def test_recorded_frames_are_verbatim_and_symbols_are_known() -> None:
    path = find(CAPTURES, ("cryptofeed/BINANCE/BINANCE_20210405T183323Z.jsonl.xz",))
    assert path is not None
    capture = read_binance([path])
    streams = sorted({frame.stream for frame in capture.frames})
    config = Config(
        recorded=RecordedConfig(path=str(CAPTURES), speed=0.0, loop=True), venues={"BINANCE": BinanceConfig()}
    )
    simulator = Simulator(config)
    ready = await simulator.start()
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as http:
            url = ready["venues"]["BINANCE"]["rest_url"]
            async with http.get(f"{url}/api/v3/exchangeInfo") as answer:
                symbols = {one["symbol"]: one for one in (await answer.json())["symbols"]}
            assert symbols["BTCAUD"]["baseAsset"] == "BTC"
            assert len(symbols) == 10
            async with websockets.connect(
                ready["venues"]["BINANCE"]["url"] + "/stream?streams=" + "/".join(streams), max_size=None
            ) as socket:
                got = [text async for text in socket]
            assert got == [frame.combined.decode() for frame in capture.frames]
    finally:
        await simulator.stop()
