"""Rude and unlucky clients on a real socket; beside each sits a well-behaved one that must not notice."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.rude import HANDSHAKE, RudeClient, frame

DEADLINE_S = 10.0


class Witness:
    """A well-behaved client, by a library that nobody here wrote."""

    def __init__(self, gateway: RunningGateway, connection: Any) -> None:
        self._gateway = gateway
        self._connection = connection
        self._price = Decimal("100.00")

    async def check(self) -> None:
        """A trade arrives."""
        self._price += Decimal("0.01")
        self._gateway.trade("XNAS:AAPL", str(self._price))
        while True:
            message = await asyncio.wait_for(self._connection.recv(), DEADLINE_S)
            if json.loads(message, parse_float=Decimal).get("price") == self._price:
                return


@asynccontextmanager
async def watched(config: Config | None = None, **hub: Any) -> AsyncIterator[tuple[RunningGateway, Witness]]:
    async with running_gateway(config, **hub) as gateway, connect(gateway.stream_url) as connection:
        await connection.send(json.dumps({"action": "subscribe", "symbols": ["AAPL"], "rate": 0}))
        witness = Witness(gateway, connection)
        await witness.check()
        yield gateway, witness
        await witness.check()
        assert len(gateway.stage.clients.streams) == 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def gone(gateway: RunningGateway) -> None:
    """Wait until only the witness is left in every table."""
    clients = gateway.stage.clients
    await until(lambda: len(clients.streams) == 1 and not clients.closing)
    assert (clients.unfinished, clients.waiting) == ({}, {})
    assert gateway.hub.memory()["clients"] == 1


async def test_messages_that_are_no_requests_are_answered_and_the_connection_lives() -> None:
    async with watched() as (gateway, witness):
        async with connect(gateway.stream_url) as client:
            for message, code in (("{", 4000), (b"\x00\xffgarbage", 4009), ('{"action":"fly"}', 4002), ("[]", 4001)):
                await client.send(message)
                error = json.loads(await client.recv())
                assert (error["type"], error["code"]) == ("error", code)
                await witness.check()
            await client.send('{"action":"ping","id":1}')
            assert json.loads(await client.recv())["type"] == "pong"
        await gone(gateway)


async def test_ten_megabytes_in_one_frame_close_with_1009() -> None:
    async with watched() as (gateway, witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.send(frame(b"x" * 10_000_000))
            assert await client.close_code() == 1009
            await witness.check()
        await gone(gateway)


async def test_a_hundred_thousand_symbols_close_with_1009() -> None:
    async with watched() as (gateway, _witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.text(json.dumps({"action": "subscribe", "symbols": [f"XNAS:S{n}" for n in range(100_000)]}))
            assert await client.close_code() == 1009
        await gone(gateway)


async def test_one_symbol_too_many_is_refused_and_applies_nothing() -> None:
    async with watched() as (gateway, _witness), connect(gateway.stream_url) as client:
        await client.send(json.dumps({"action": "subscribe", "symbols": [f"N{n}" for n in range(1001)]}))
        error = json.loads(await client.recv())
        assert (error["code"], error["reason"]) == (4102, "too many symbols: 1001 asked, 1000 allowed")
        assert error["symbols"] == ["N1000"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"{}", mask=None), 1002),
        (frame(b"{}", opcode=3), 1002),
        (frame(b"x" * 126, opcode=9), 1002),
        (frame(b"more", opcode=0), 1002),
        (b"\xc1\x80\x01\x02\x03\x04", 1002),  # a reserved bit: no extension was negotiated
        (frame(b"\xff\xfe\xfd"), 1007),
    ],
)
async def test_framing_faults_close_with_their_code(sent: bytes, code: int) -> None:
    async with watched() as (gateway, _witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.send(sent)
            assert await client.close_code() == code
        await gone(gateway)


@pytest.mark.parametrize(
    ("end", "code"), [(frame(b"{}", mask=None), 1002), (frame((1000).to_bytes(2, "big"), opcode=8), 1000)]
)
async def test_requests_in_front_of_the_end_are_answered_before_it(end: bytes, code: int) -> None:
    async with watched() as (gateway, _witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.send(frame(b'{"action":"ping","id":1}') + frame(b'{"action":"sync","id":2}') + end)
            assert json.loads((await client.frame()).payload)["id"] == 1
            assert json.loads((await client.frame()).payload)["id"] == 2
            received = await client.frame()
            assert (received.opcode, received.code) == (8, code)
        await gone(gateway)


async def test_random_bytes_in_place_of_frames_do_no_harm() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201  shown when the test fails
    noise = random.Random(seed)
    async with watched() as (gateway, witness):
        for _ in range(20):
            async with await RudeClient.connect(gateway.url) as client:
                client.send(noise.randbytes(noise.randrange(1, 2000)))
            await witness.check()
        await gone(gateway)


async def test_random_bytes_in_place_of_a_request_are_answered_with_400() -> None:
    async with watched() as (gateway, _witness):
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n")
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"application/problem+json" in answer
        await gone(gateway)


@pytest.mark.parametrize("sent", [b"", HANDSHAKE[:60], b"GET /prices/AAPL HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_request_that_is_never_finished_is_ended(sent: bytes) -> None:
    async with watched(Config(port=0, handshake_timeout_s=0.3)) as (gateway, witness):
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            client.send(sent)
            await witness.check()
            assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
        await gone(gateway)


async def test_a_request_that_drips_is_ended_as_well() -> None:
    async with watched(Config(port=0, handshake_timeout_s=0.3)) as (gateway, _witness):
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            ended = asyncio.create_task(client.rest())
            for byte in HANDSHAKE[:-1] * 4:
                client.send(bytes((byte,)))
                done, _ = await asyncio.wait({ended}, timeout=0.01)
                if done:
                    break
            # What is still on its way when a socket is closed makes the kernel reset it, which may overtake the answer.
            with contextlib.suppress(ConnectionResetError):
                assert (await ended).startswith(b"HTTP/1.1 408 ")
            assert ended.done()
        await gone(gateway)


async def test_a_body_that_is_never_finished_is_ended() -> None:
    async with watched(Config(port=0, request_timeout_s=0.3)) as (gateway, _witness):
        async with await RudeClient.connect(gateway.url, handshake=False) as client:
            client.send(b"POST /prices/AAPL HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
            await asyncio.wait_for(client.rest(), DEADLINE_S)
        await gone(gateway)


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with watched() as (gateway, _witness):
        for filler in (b"X-Filler: " + b"x" * 20_000 + b"\r\n\r\n", b"X-Filler: " + b"x" * 20_000):
            async with await RudeClient.connect(gateway.url, handshake=False) as client:
                client.send(b"GET /prices/AAPL HTTP/1.1\r\nHost: localhost\r\n" + filler)
                assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
        await gone(gateway)


@pytest.mark.parametrize("sent", [b"\x81", frame(b'{"action":"ping"}')[:9], frame(b'{"action"', final=False)])
async def test_half_a_frame_is_closed_in_time(sent: bytes) -> None:
    async with watched(Config(port=0, request_timeout_s=0.3)) as (gateway, witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.send(sent)
            await witness.check()
            assert await client.close_code() == 4704
        await gone(gateway)


async def test_a_frame_in_many_pieces_is_served() -> None:
    async with watched() as (gateway, _witness), await RudeClient.connect(gateway.url) as client:
        for byte in frame(b'{"action":"ping","id":"slow"}'):
            client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert json.loads((await client.frame()).payload)["id"] == "slow"
        assert gateway.stage.clients.unfinished == {}


async def test_bytes_behind_the_handshake_in_the_same_packet_are_served() -> None:
    async with watched() as (gateway, _witness), await RudeClient.connect(gateway.url, handshake=False) as client:
        client.send(HANDSHAKE + frame(b'{"action":"ping","id":"early"}') + frame(b'{"action":"ping","id":2}')[:5])
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        assert json.loads((await client.frame()).payload)["id"] == "early"
        client.send(frame(b'{"action":"ping","id":2}')[5:])
        assert json.loads((await client.frame()).payload)["id"] == 2


async def test_a_kept_connection_can_be_upgraded() -> None:
    async with watched() as (gateway, _witness), await RudeClient.connect(gateway.url, handshake=False) as client:
        client.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.head()
        assert await client.reader.readexactly(17) == b'{"status":"live"}'
        client.send(HANDSHAKE)
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        client.text('{"action":"ping","id":1}')
        assert json.loads((await client.frame()).payload)["type"] == "pong"


async def test_client_pings_and_closes_are_answered() -> None:
    async with watched() as (gateway, _witness):
        async with await RudeClient.connect(gateway.url) as client:
            client.send(frame(b"hello", opcode=9))
            assert await client.frame() == (10, b"hello")
            client.send(frame((4000).to_bytes(2, "big") + b"bye", opcode=8))
            assert await client.close_code() == 4000
            assert await client.rest() == b""
        await gone(gateway)


async def test_a_client_that_does_not_answer_pings_is_closed() -> None:
    async with watched(Config(port=0, ping_interval_s=0.2)) as (gateway, witness):
        async with await RudeClient.connect(gateway.url) as client:
            assert (await client.frame()).opcode == 9
            assert await client.close_code() == 4704
        await witness.check()
        await gone(gateway)


async def test_a_client_that_only_listens_gets_heartbeats_and_lives() -> None:
    config = Config(port=0, heartbeat_s=0.1, ping_interval_s=0.2)
    async with watched(config) as (gateway, _witness), connect(gateway.stream_url) as client:
        for _ in range(6):
            heartbeat = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
            assert heartbeat["type"] == "hb"
            assert heartbeat["server_timestamp"].endswith("Z")


async def test_a_client_that_stops_reading_is_conflated_and_then_closed() -> None:
    config = Config(port=0, send_buffer=4096, close_timeout_s=30)
    async with watched(config, undrained_max_ns=1_000_000_000) as (gateway, witness):
        async with await RudeClient.connect(gateway.url, receive_buffer=4096) as client:
            client.text(json.dumps({"action": "subscribe", "symbols": ["AAPL", "XNAS:AAPL", "XNAS:MSFT"], "rate": 0}))
            await client.frame()
            client.pause_reading()
            largest = 0
            async with asyncio.timeout(DEADLINE_S):
                while len(gateway.stage.clients.streams) > 1:
                    for _ in range(20):
                        gateway.trade("XNAS:MSFT", "10.00")
                    await witness.check()
                    largest = max(largest, *(gateway.hub.unsent(c) for c in gateway.stage.clients.streams))
            assert 0 < largest < 400_000
            client.resume_reading()
            assert await client.close_code() == 4701
        await gone(gateway)


async def test_a_stalled_client_is_closed_even_if_the_market_is_quiet() -> None:
    names = ["XNAS:AAPL", *(f"XNAS:S{number}" for number in range(400))]
    config = Config(port=0, send_buffer=4096, close_timeout_s=0.2)
    async with (
        watched(config, names=names, undrained_max_ns=300_000_000) as (gateway, _witness),
        await RudeClient.connect(gateway.url, receive_buffer=4096) as client,
    ):
        client.pause_reading()
        client.text(json.dumps({"action": "subscribe", "symbols": names}))
        await until(lambda: len(gateway.stage.clients.streams) == 2)
        await gone(gateway)


async def test_a_client_that_reads_again_gets_the_newest_state() -> None:
    async with (
        watched(Config(port=0, send_buffer=4096)) as (gateway, witness),
        await RudeClient.connect(gateway.url, receive_buffer=4096) as client,
    ):
        client.text(json.dumps({"action": "subscribe", "symbols": ["XNAS:MSFT"], "rate": 0}))
        client.pause_reading()
        published = 0
        while not any(stream.blocked for stream in gateway.stage.clients.streams.values()):
            published += 1
            gateway.trade("XNAS:MSFT", f"10.{published:06d}")
            await asyncio.sleep(0)
        for _ in range(100):
            published += 1
            gateway.trade("XNAS:MSFT", f"10.{published:06d}")
        await witness.check()
        client.resume_reading()
        seq = 0
        while seq < published:
            received = json.loads((await client.frame()).payload, parse_float=str)
            if received["type"] in {"update", "snapshot"}:
                assert seq == 0 or received["seq"] > seq
                seq = received["seq"]
        assert received["price"] == f"10.{published:06d}"
        client.text('{"action":"sync"}')
        synced = json.loads((await client.frame()).payload)
        counters = synced["channels"]["price"]["XNAS:MSFT"]
        assert counters["merged"] >= 90
        assert counters["published"] == counters["delivered"] + counters["merged"] + counters["lost"]


async def test_a_thousand_connections_leave_nothing_behind() -> None:
    async with watched() as (gateway, witness):

        async def visit(number: int) -> None:
            async with await RudeClient.connect(gateway.url) as client:
                client.text('{"action":"subscribe","symbols":["AAPL","XNAS:MSFT"]}')
                if number % 3:
                    await client.frame()
                if number % 3 == 2:
                    client.send(frame(b"\x03\xe8", opcode=8))
                    await client.close_code()

        for start in range(0, 1000, 50):
            await asyncio.gather(*(visit(start + place) for place in range(50)))
        await witness.check()
        await gone(gateway)
        assert gateway.hub.memory()["subscriptions"] == 1


async def test_a_full_gateway_says_so() -> None:
    async with watched(Config(port=0, connections_max=1)) as (gateway, _witness):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(gateway.stream_url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "5"


async def test_refused_handshakes_are_problems() -> None:
    async with running_gateway() as gateway, httpx.AsyncClient(base_url=gateway.url) as client:
        headers = {"connection": "upgrade", "upgrade": "websocket", "origin": "http://evil.example"}
        answer = await client.get("/stream", headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 403
        assert (await client.get("/elsewhere", headers=headers)).status_code == 404


async def test_stopping_tells_clients_to_come_back() -> None:
    async with running_gateway() as gateway, connect(gateway.stream_url) as client:
        stopping = asyncio.create_task(gateway.stop())
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        await stopping
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4702
        with pytest.raises(OSError, match="onnect"):
            await connect(gateway.stream_url)
