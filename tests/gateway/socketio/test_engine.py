"""What clients do wrong at the Socket.IO endpoint, by hand; beside it sits a well-behaved one that must not notice."""

import asyncio
import contextlib
import gzip
import importlib.util
import random
from typing import Any

import httpx
import pytest
from tests.gateway.socketio.event_clients import events_config, until, witnessed
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tickcast.gateway.socketio.door import open_door
from tickcast.model.errors import UsageError
from tickcast.testing.gateway import RunningGateway, running_gateway

POLLING = "/socket.io/?EIO=4&transport=polling"
SEED = 20_261_121


def events_url(gateway: RunningGateway) -> str:
    return f"ws{gateway.url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"


async def session(http: httpx.AsyncClient) -> str:
    return (await http.get(POLLING)).text.partition('"sid":"')[2].partition('"')[0]


async def until_closed(client: Any, sent: str = "") -> None:
    async with asyncio.timeout(10):
        while True:
            await (client.send(sent) if sent else client.recv())
            await asyncio.sleep(0)


async def only_the_witness_is_left(gateway: RunningGateway) -> None:
    events: Any = gateway.stage._events
    await until(lambda: len(events._links) == 1 and len(gateway.stage.clients.streams) == 1)
    await until(lambda: not gateway.stage.clients.closing and gateway.hub.memory()["clients"] == 1)


@pytest.mark.parametrize(
    "packet",
    [
        "", "4", "47", "9", "x", "40{", "4{}", '4["a"]', "42", "42{", "42[", "42[]", "42[[]]",
        '451-["a",{"_placeholder":true,"num":0}]',
        "4599999999999-[]", "40/nowhere,", "44{}", "46[]", "2probe", "0{}", "b4AAAA", "42" + "[" * 30_000,
        '42["subscribe",' + "9" * 5_000 + "]",
        "43" + "9" * 200 + "[]",
    ],
)  # fmt: skip
async def test_a_packet_that_is_none_disturbs_nobody(packet: str) -> None:
    async with witnessed() as (gateway, check):
        async with connect(events_url(gateway)) as client:
            assert (await client.recv())[:1] == "0"
            await client.send("40")
            assert str(await client.recv()).startswith("40{")
            await client.send(packet)
            await client.send('422["ping"]')
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(5):
                    while not str(await client.recv()).startswith("432"):
                        pass
            await check()
        await only_the_witness_is_left(gateway)


async def test_binary_messages_and_a_second_connect_end_the_client() -> None:
    async with witnessed() as (gateway, check):
        for sent in (b"\x04\x01", "40"):
            async with connect(events_url(gateway)) as client:
                await client.recv()
                await client.send("40")
                await client.recv()
                await client.send(sent)
                with pytest.raises(ConnectionClosed):
                    await until_closed(client)
            await check()
        await only_the_witness_is_left(gateway)


async def test_a_million_random_bytes_disturb_nobody() -> None:
    rng = random.Random(SEED)
    async with witnessed(events_config(frame_max=20_000, handshake_timeout_s=1.0)) as (gateway, check):
        host, port = gateway.url.removeprefix("http://").split(":")
        for _ in range(20):  # 200,000 bytes behind the head of an upgrade
            reader, writer = await asyncio.open_connection(host, int(port))
            key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            writer.write(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key + rng.randbytes(10_000)
            )
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(10):
                    while await reader.read(65_536):
                        pass
            writer.close()
        await check()
        for _ in range(40):  # 400,000 as whole messages
            async with connect(events_url(gateway)) as client:
                with contextlib.suppress(ConnectionClosed):
                    await client.send("40")
                    for _ in range(10):
                        text = (
                            rng.randbytes(500).hex()
                            if rng.random() < 0.5
                            else "42" + rng.randbytes(998).decode("latin-1")
                        )
                        await client.send(text)
        await check()
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            for _ in range(40):  # 400,000 as bodies of polling
                sid = await session(http)
                answer = await http.post(f"{POLLING}&sid={sid}", content=rng.randbytes(10_000))
                assert answer.status_code == 400
        await check()
        await only_the_witness_is_left(gateway)


async def test_polling_is_bounded_and_says_what_was_expected() -> None:
    async with witnessed(events_config(frame_max=2_000)) as (gateway, check):
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            assert (await http.get("/socket.io/?EIO=3&transport=polling")).status_code == 400
            assert (await http.get("/socket.io/?EIO=4&transport=pigeon")).status_code == 400
            assert (await http.get(f"{POLLING}&j=1")).status_code == 400
            assert (await http.get(f"{POLLING}&sid=nobody")).status_code == 400
            assert (await http.post(f"{POLLING}&sid=nobody", content="3")).status_code == 400
            assert (await http.put(POLLING)).status_code == 405
            sid = (
                (await http.get(POLLING)).json
                if False
                else (await http.get(POLLING)).text.partition('"sid":"')[2].partition('"')[0]
            )
            assert (await http.post(f"{POLLING}&sid={sid}", content="4" * 2_001)).status_code == 413
            assert (await http.post(f"{POLLING}&sid={sid}", content="\x1e".join(["3"] * 17))).status_code == 400
            assert (await http.get(f"{POLLING}&sid={sid}")).status_code == 400, "the session is ended"
        await check()
        await only_the_witness_is_left(gateway)


async def test_foreign_origins_and_hosts_reach_nothing() -> None:
    async with witnessed() as (gateway, check):
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            assert (await http.get(POLLING, headers={"origin": "https://evil.example"})).status_code == 403
            assert (await http.get(POLLING, headers={"host": "evil.example"})).status_code == 421
            allowed = await http.get(POLLING, headers={"origin": "http://localhost:5173"})
            assert allowed.headers["access-control-allow-origin"] == "http://localhost:5173"
        with pytest.raises(InvalidStatus) as refused:
            await connect(events_url(gateway), origin="https://evil.example")  # type: ignore[arg-type]  # any text
        assert refused.value.response.status_code == 403
        await check()


async def test_sessions_that_never_connect_and_floods_are_ended() -> None:
    config = events_config(handshake_timeout_s=0.5, requests_per_second=5)
    async with witnessed(config) as (gateway, check):
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            await http.get(POLLING)
        await only_the_witness_is_left(gateway)
        async with connect(events_url(gateway)) as client:
            await client.recv()
            await client.send("40")
            with pytest.raises(ConnectionClosed) as closed:
                await until_closed(client, '42["ping"]')
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4703
        await check()
        await only_the_witness_is_left(gateway)


@pytest.mark.parametrize("mode", ["memory", "rooms"])
async def test_a_client_that_changes_its_symbols_a_thousand_times_a_second_is_ended(mode: str) -> None:
    async with witnessed(events_config(mode)) as (gateway, check):
        async with connect(events_url(gateway)) as client:
            await client.recv()
            await client.send("40")

            async def flood() -> None:
                for number in range(5_000):
                    names = f'["XNAS:AAPL","XNAS:MSFT","XNAS:N{number % 50}"]'
                    for action in ("subscribe", "unsubscribe"):
                        await client.send(f'42["{action}",{{"symbols":{names}}}]')
                    if not number % 100:
                        await check()
                await until_closed(client)

            with pytest.raises(ConnectionClosed) as closed:
                await flood()
            # what it still sends when we close resets the connection, which may overtake the close frame
            assert closed.value.rcvd is None or closed.value.rcvd.code == 4703
        await check()
        events: Any = gateway.stage._events
        await until(lambda: len(events._links) == 1 and len(gateway.stage.clients.streams) == 1)


async def test_what_is_compressed_is_never_unpacked() -> None:
    async with witnessed() as (gateway, check):
        async with connect(events_url(gateway), compression="deflate") as client:
            assert not client.protocol.extensions, "offered, and not taken"
        async with httpx.AsyncClient(base_url=gateway.url) as http:
            for packed in (gzip.compress(b"3"), gzip.compress(b"3" * 50_000_000)):  # a pong, which would be good
                sid = await session(http)
                headers = {"content-encoding": "gzip", "content-type": "text/plain;charset=UTF-8"}
                answer = await http.post(f"{POLLING}&sid={sid}", content=packed, headers=headers)
                assert answer.status_code in {400, 413, 415}
                await check()
        await only_the_witness_is_left(gateway)


async def test_an_address_has_so_many_clients_and_no_more() -> None:
    config = events_config(connections_per_address_max=3, addresses_exempt=())
    async with running_gateway(config) as gateway, httpx.AsyncClient(base_url=gateway.url) as http:
        statuses = [(await http.get(POLLING)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]


async def test_a_mode_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_gateway() as gateway:
        clients = gateway.stage.clients
        assert open_door(clients, gateway.app) is None, "off by default"
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        clients.config = events_config()
        with pytest.raises(UsageError, match=r"needs the Python package socketio.*tickcast\[socketio\]"):
            open_door(clients, gateway.app)
