import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 20.0
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(Config(port=0, requests_per_second=1000)) as running:
        running.trade("XNAS:AAPL", "185.40")
        running.trade("XNAS:MSFT", "400.00")
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as session:
        yield session


async def polled(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/prices", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def waiting(gateway: RunningGateway, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while len(gateway.stage.clients.streams) != count:
            await asyncio.sleep(0.005)


async def test_it_answers_at_once_what_changed_and_else_when_it_does(
    gateway: RunningGateway, client: httpx.AsyncClient
) -> None:
    symbols = "XNAS:AAPL,XNAS:NONE,XNAS:MSFT"
    first = await polled(client, symbols=symbols, wait=25)
    assert [price["symbol"] for price in first["prices"]] == symbols.split(",")
    assert first["prices"][1]["state"] == "no_such_symbol"
    plain = (await client.get("/prices", params={"symbols": "XNAS:AAPL"})).json()["prices"][0]
    assert {**first["prices"][0], "server_timestamp": None} == {**plain, "server_timestamp": None}, "as REST shows it"

    gateway.trade("XNAS:MSFT", "401.00")
    second = await polled(client, symbols=symbols, since=first["next"], wait=25)
    assert [(price["symbol"], price["price"]) for price in second["prices"]] == [("XNAS:MSFT", 401.0)]

    waits = asyncio.create_task(polled(client, symbols=symbols, since=second["next"], wait=25))
    await waiting(gateway, 1)
    gateway.trade("XNAS:AAPL", "186.00")
    third = await waits
    assert [(price["symbol"], price["price"]) for price in third["prices"]] == [("XNAS:AAPL", 186.0)]
    assert not gateway.stage.clients.streams, "a poll leaves nothing behind"


async def test_without_news_the_list_is_empty_and_the_cursor_the_same(client: httpx.AsyncClient) -> None:
    first = await polled(client, symbols="XNAS:AAPL", since="")
    for wait in (0, 0.01):
        assert await polled(client, symbols="XNAS:AAPL", since=first["next"], wait=wait) == {
            "prices": [],
            "next": first["next"],
        }


async def test_a_cursor_that_proves_nothing_brings_everything(
    gateway: RunningGateway, client: httpx.AsyncClient
) -> None:
    first = await polled(client, symbols="XNAS:AAPL,XNAS:MSFT", since="")
    for since in ("nonsense", first["next"][:-3], (await polled(client, symbols="XNAS:MSFT", since=""))["next"]):
        answer = await polled(client, symbols="XNAS:AAPL,XNAS:MSFT", since=since, wait=25)
        assert len(answer["prices"]) >= 1
    gateway.hub.renew("XNAS:MSFT")
    answer = await polled(client, symbols="XNAS:AAPL,XNAS:MSFT", since=first["next"], wait=25)
    assert [price["symbol"] for price in answer["prices"]] == ["XNAS:MSFT"]


async def test_prices_can_be_strings(client: httpx.AsyncClient) -> None:
    answer = await polled(client, symbols="XNAS:MSFT", numbers="string", wait=1)
    assert isinstance(answer["prices"][0]["price"], str)


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("wait=1", 422, "symbols: expected names"),
        ("symbols=A&wait=-1", 422, "wait: expected 0 to 60 seconds, found '-1'"),
        ("symbols=A&wait=61", 422, "wait: expected 0 to 60 seconds"),
        ("symbols=A&wait=nan", 422, "wait: expected 0 to 60 seconds"),
        ("symbols=A&wait=soon", 422, "wait: expected 0 to 60 seconds"),
        ("symbols=XNAS:*&wait=1", 422, "symbols: expected names, found the pattern"),
        ("symbols=A&wait=1&rate=-1", 422, "rate: expected 0 (unfiltered)"),
        ("symbols=" + ",".join(f"XNAS:S{number}" for number in range(1000)) + "&wait=1", 422, "in several requests"),
    ],
)
async def test_what_is_wrong_is_said(client: httpx.AsyncClient, query: str, status: int, expected: str) -> None:
    answer = await client.get(f"/prices?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert expected in answer.json()["detail"]


async def test_thousands_wait_without_work_and_all_are_answered(gateway: RunningGateway) -> None:
    count = 500
    host, port = gateway.url.removeprefix("http://").split(":")
    cursor = (await _raw(host, port, "since=")).get("next")
    before = len(asyncio.all_tasks())
    connections = [await asyncio.open_connection(host, port) for _ in range(count)]
    for _, writer in connections:
        writer.write(
            f"GET /prices?symbols=XNAS:AAPL&since={cursor}&wait=25 HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        )
    await waiting(gateway, count)
    assert len(asyncio.all_tasks()) - before <= 2, "no task waits for any of them"
    connections[0][1].close()
    await connections[0][1].wait_closed()
    await waiting(gateway, count - 1)
    gateway.trade("XNAS:AAPL", "190.00")
    async with asyncio.timeout(DEADLINE_S):
        for reader, writer in connections[1:]:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert json.loads(await reader.readexactly(length))["prices"][0]["price"] == 190.0
            writer.close()
            await writer.wait_closed()
    assert not gateway.stage.clients.waiting


async def _raw(host: str, port: str, query: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as session:
        body: dict[str, Any] = (await session.get(f"http://{host}:{port}/prices?symbols=XNAS:AAPL&{query}")).json()
        return body


async def test_a_connection_asks_so_often_and_no_oftener_and_other_routes_go_on() -> None:
    async with (
        running_gateway(Config(port=0, requests_per_second=3)) as gateway,
        httpx.AsyncClient(base_url=gateway.url, limits=httpx.Limits(max_connections=1)) as session,
    ):
        statuses = [(await session.get("/prices?symbols=XNAS:AAPL&wait=0")).status_code for _ in range(5)]
        assert statuses[:3] == [200, 200, 200]
        assert 429 in statuses[3:]
        assert (await session.get("/health/live")).status_code == 200, "on the same connection"


async def test_whoever_waits_when_the_gateway_stops_is_told_to_come_back() -> None:
    async with (
        running_gateway() as gateway,
        httpx.AsyncClient(base_url=gateway.url, timeout=DEADLINE_S) as session,
    ):
        cursor = (await polled(session, symbols="XNAS:AAPL", since=""))["next"]
        asked = session.get("/prices", params={"symbols": "XNAS:AAPL", "since": cursor, "wait": 25})
        waits = asyncio.create_task(asked)
        await waiting(gateway, 1)
        gateway.stage.clients.close_some(10, lambda: 1)
        answer = await waits
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_bytes_behind_a_waiting_request_end_the_connection_with_its_answer(gateway: RunningGateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    cursor = (await _raw(host, port, "since="))["next"]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /prices?symbols=XNAS:AAPL&since={cursor}&wait=25 HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        while not gateway.stage.clients.streams:
            await asyncio.sleep(0.005)
    writer.write(b"GET /prices?symbols=XNAS:AAPL HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await _raw(host, port, "since=")  # meanwhile they were read
    gateway.trade("XNAS:AAPL", "191.00")
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer


async def test_requests_in_one_breath_are_refused(gateway: RunningGateway) -> None:
    reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
    request = b"GET /prices?symbols=XNAS:AAPL&wait=25 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    writer.write(request + request)
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400")
