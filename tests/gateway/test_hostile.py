"""Clients that mean harm, one beside another that does not: whatever they send, the other gets its prices."""

import asyncio
import base64
import gzip
import json
import os
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from httpx_sse import aconnect_sse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 30.0
MILLION = 1_000_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(Config(port=0)) as running:
        running.trade("XNAS:AAPL", "185.40")
        yield running


@pytest.fixture(scope="module")
def chance() -> random.Random:
    """Prints its seed, for a failure to be seen again."""
    seed = int(os.environ.get("TICKCAST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"TICKCAST_SEED={seed}")  # noqa: T201
    return random.Random(seed)


class Neighbour:
    """A client that does nothing wrong, and must get what the market does."""

    def __init__(self, gateway: RunningGateway, client: ClientConnection) -> None:
        self._gateway = gateway
        self._client = client
        self._number = 0

    async def is_served(self) -> None:
        """Wait for a price that is new."""
        self._number += 1
        price = 100 + self._number
        self._gateway.trade("XNAS:AAPL", f"{price}.00")
        async with asyncio.timeout(DEADLINE_S):
            while json.loads(await self._client.recv()).get("price") != price:
                pass


@asynccontextmanager
async def neighbour(gateway: RunningGateway) -> AsyncIterator[Neighbour]:
    async with connect(gateway.stream_url) as client:
        await client.send('{"action":"subscribe","symbols":["XNAS:AAPL"],"rate":0,"fields":["price"]}')
        yield Neighbour(gateway, client)


async def pour(gateway: RunningGateway, opening: bytes, data: bytes, *, expected: bytes = b"") -> bytes:
    """Send an opening, then a lot; returns what came back until the gateway had enough."""
    reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
    answer = b""
    try:
        async with asyncio.timeout(DEADLINE_S):
            writer.write(opening)
            if expected:
                answer = await reader.readuntil(expected)
            for start in range(0, len(data), 65_536):
                writer.write(data[start : start + 65_536])
                await writer.drain()
            writer.write_eof()
            answer += await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort()
    return answer


UPGRADE = (
    b"GET /stream HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + base64.b64encode(b"0" * 16) + b"\r\n%b\r\n"
)


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (b"", b""),
        (b"GET /", b""),
        (b"POST /prices HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n", b""),
        (UPGRADE % b"", b"\r\n\r\n"),
        (UPGRADE % b"sec-websocket-protocol: tickcast.msgpack\r\n", b"\r\n\r\n"),
        (UPGRADE % b"sec-websocket-protocol: tickcast.proto\r\n", b"\r\n\r\n"),
        (b"GET /events?symbols=XNAS:AAPL HTTP/1.1\r\nhost: localhost\r\n\r\n", b"event: snapshot\n"),
        (b"GET /events?symbols=", b""),
        (b"GET /events?symbols=XNAS:AAPL HTTP/1.1\r\nhost: localhost\r\nlast-event-id: ", b""),
        (b"GET /prices?symbols=XNAS:AAPL&since=", b""),
        (b"GET /prices?symbols=XNAS:NONE&since=x&wait=20 HTTP/1.1\r\nhost: localhost\r\n\r\n", b""),
    ],
    ids=["nothing", "head", "body", "json", "msgpack", "proto", "events", "symbols", "id", "since", "poll"],
)
async def test_a_million_random_bytes_disturb_nobody(
    gateway: RunningGateway, chance: random.Random, opening: bytes, expected: bytes
) -> None:
    async with neighbour(gateway) as other:
        await other.is_served()
        poured = asyncio.create_task(pour(gateway, opening, chance.randbytes(MILLION), expected=expected))
        while not poured.done():
            await other.is_served()
        answer = await poured
        assert b"Traceback" not in answer
        assert len(answer) < 200_000, "no echo"
        await other.is_served()
    async with asyncio.timeout(DEADLINE_S):
        while gateway.stage.clients.streams or gateway.stage.clients.closing:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["subscribe", "prices"])
async def test_random_requests_of_the_right_form_disturb_nobody(
    gateway: RunningGateway, chance: random.Random, kind: str
) -> None:
    words = ["XNAS:AAPL", "A", "", "*", "XNAS:*", "class:option", "\0", "é" * 50, "../..", "%s", "x" * 500]
    async with neighbour(gateway) as other, httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as client:
        for _ in range(60):
            query = {
                name: ",".join(chance.choices(words, k=chance.randrange(4)))
                for name in chance.sample(["symbols", "channels", "rate", "fields", "since", "last_event_id"], 4)
            }
            if kind == "prices":
                answer = await client.get("/prices", params=query | {"wait": "0"})
                assert answer.status_code in {200, 422, 429}, answer.text
                continue
            async with aconnect_sse(client, "GET", "/events", params=query) as source:
                assert source.response.status_code in {200, 422}, query
        await other.is_served()


async def test_a_client_that_changes_its_symbols_a_thousand_times_a_second_is_closed(gateway: RunningGateway) -> None:
    requests = [
        json.dumps({"action": action, "symbols": ["XNAS:AAPL", "XNAS:MSFT", f"XNAS:N{number}"]})
        for number in range(1_000)
        for action in ("subscribe", "unsubscribe")
    ]
    async with neighbour(gateway) as other:
        client = await connect(gateway.stream_url)

        async def flood() -> int:
            try:
                for request in requests:
                    await client.send(request)
                while True:
                    await client.recv()
            except ConnectionClosed:
                return client.close_code or 0

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(DEADLINE_S):
            while not flooding.done():
                await other.is_served()
        assert await flooding == 4703
        await other.is_served()


async def test_streams_opened_a_thousand_times_a_second_end_at_the_limit_of_their_address() -> None:
    config = Config(port=0, addresses_exempt=(), handshakes_per_second_per_address=20)
    async with running_gateway(config) as gateway, neighbour(gateway) as other:
        gateway.trade("XNAS:AAPL", "1.00")
        request = b"GET /events?symbols=XNAS:AAPL HTTP/1.1\r\nhost: localhost\r\n\r\n"
        answers = []
        for _ in range(60):
            reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
            writer.write(request)
            async with asyncio.timeout(DEADLINE_S):
                answers.append((await reader.readline()).split()[1])
            writer.transport.abort()
        assert answers[:19] == [b"200"] * 19
        assert b"429" in answers
        await other.is_served()


async def test_compressed_frames_are_refused(gateway: RunningGateway) -> None:
    async with connect(gateway.stream_url, compression="deflate") as client:
        assert not client.protocol.extensions, "offered, and not taken"
    masked = b"\xc1\x85\0\0\0\0bomb!"  # RSV1: a frame of permessage-deflate
    answer = await pour(gateway, UPGRADE % b"", masked, expected=b"\r\n\r\n")
    assert b"\x03\xea" in answer, "closed with 1002"


async def test_a_head_or_a_body_that_never_ends_is_given_up() -> None:
    config = Config(port=0, handshake_timeout_s=0.3, request_timeout_s=0.3)
    async with running_gateway(config) as gateway:
        for opening in (b"GET /events?symbols=A HTTP/1.1\r\n", b"POST /prices HTTP/1.1\r\ncontent-length: 9\r\n\r\n"):
            reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
            writer.write(opening)
            async with asyncio.timeout(DEADLINE_S):
                answer = await reader.read()
            writer.transport.abort()
            assert not answer or answer.split()[1] in {b"408", b"405", b"421"}
        assert not gateway.stage.clients.waiting


async def test_polls_and_prices_asked_for_as_fast_as_can_be_disturb_nobody(gateway: RunningGateway) -> None:
    async def flood(client: httpx.AsyncClient, start: int) -> list[int]:
        statuses = []
        for number in range(start, start + 60):
            names = f"XNAS:AAPL,XNAS:N{number}"
            polls = (f"/prices?symbols={names}&wait=0", f"/prices?symbols={names}&since=x&wait=0")
            statuses += [(await client.get(path)).status_code for path in (*polls, f"/prices/XNAS:N{number}")]
        return statuses

    async with neighbour(gateway) as other, httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as client:
        floods = asyncio.gather(*(flood(client, 1_000 * number) for number in range(4)))
        while not floods.done():
            await other.is_served()
        for statuses in await floods:
            assert set(statuses) <= {200, 404, 429}, statuses
            assert statuses.count(404) == 60, "who asks for one that is not there is told so each time"
        await other.is_served()
    assert not gateway.stage.clients.waiting


async def test_pages_of_other_sites_reach_nothing_and_disturb_nobody(gateway: RunningGateway) -> None:
    foreign = {"origin": "https://evil.example"}
    async with neighbour(gateway) as other, httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as client:
        for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
            for protocol in ("tickcast.json", "tickcast.msgpack", "tickcast.proto"):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(gateway.stream_url, origin=Origin(origin), subprotocols=[Subprotocol(protocol)])
                assert refused.value.response.status_code == 403
        for path in ("/events?symbols=XNAS:AAPL", "/prices?symbols=XNAS:AAPL&since=x&wait=20"):
            for headers in (foreign, {"sec-fetch-site": "cross-site"}):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (403, None)
                assert "185" not in answer.text
        # answered, for a browser keeps from the page what does not name it
        answer = await client.get("/prices/XNAS:AAPL", headers=foreign)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        await other.is_served()
    assert not gateway.stage.clients.waiting


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_what_is_compressed_is_never_unpacked(gateway: RunningGateway, encoding: str) -> None:
    blanks = b" " * 1_000_000
    packed_by = {"gzip": gzip.compress(blanks), "deflate": zlib.compress(blanks)}
    bomb = packed_by.get(encoding, b"\0" * 1_000)
    assert len(bomb) < 2_000
    packed = {"content-encoding": encoding}
    async with neighbour(gateway) as other, httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as client:
        for path in ("/prices", "/events?symbols=XNAS:AAPL", "/ticket", "/feeds/xnas/symbols"):
            answer = await client.post(path, content=bomb, headers=packed | {"content-type": "application/json"})
            assert answer.status_code in {401, 403, 404, 405, 411, 413, 415, 422}, path
            await other.is_served()
        head = UPGRADE % b"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
        answered = await pour(gateway, head, b"\xc1\xfe" + len(bomb).to_bytes(2, "big") + b"\0\0\0\0" + bomb)
        assert b"permessage-deflate" not in answered, "not taken"
        assert b"\x03\xea" in answered, "closed with 1002"
        await other.is_served()
