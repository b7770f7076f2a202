"""A worker's HTTP: what it answers itself, what the core answers through it, and what while the core is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tickcast import _native
from tickcast.gateway import upstream
from tickcast.gateway.config import Config
from tickcast.gateway.http import UnixServer
from tickcast.gateway.upstream import passed_on
from tickcast.gateway.worker import GatewayWorker
from tickcast.runtime.clock import now_ns
from tickcast.testing.gateway import RunningGateway, running_gateway
from tickcast.testing.rude import RudeClient

DEADLINE_S = 10.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def worker(rest: Path, config: Config | None = None) -> AsyncIterator[GatewayWorker]:
    """A worker with a hub of its own, whose core is at ``rest``."""
    hub = _native.Hub(epoch=1)
    running = GatewayWorker(
        config or Config(port=0), hub=hub, rest=rest, clock=now_ns, wake=lambda: None, listener=None
    )
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def core_and_worker(tmp_path: Path, app: ASGIApp | None = None) -> AsyncIterator[tuple[RunningGateway, str]]:
    """A gateway as it is in a core, and a worker before the same application; yields the worker's address."""
    async with running_gateway() as core:
        core.quote("XNAS:AAPL", ("185.41", "100"), ("185.43", "200"))
        core.trade("XNAS:AAPL", "185.42")
        server = UnixServer(app or core.app, tmp_path / "rest.sock")
        await server.start()
        try:
            async with worker(server.path) as running:
                yield core, running.stage.address
        finally:
            await server.stop()


def comparable(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """What must be equal: everything but the time."""
    headers = sorted((name, value) for name, value in answer.headers.multi_items() if name != "date")
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/symbols"),
        ("GET", "/symbols?q=a%41&limit=1"),
        ("HEAD", "/symbols"),
        ("GET", "/prices/NOPE"),
        ("GET", "/prices/a%2Fb"),
        ("GET", "/prices?symbols="),
        ("POST", "/symbols"),
        ("OPTIONS", "/symbols"),
        ("GET", "/feeds"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/nothing"),
        ("GET", "/"),
        ("HEAD", "/health/live"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/stream"),
    ],
)
async def test_a_worker_answers_as_the_core_does(tmp_path: Path, method: str, path: str) -> None:
    async with core_and_worker(tmp_path) as (core, url), httpx.AsyncClient() as http:
        headers = {"origin": "http://localhost:3000", "access-control-request-method": "GET"}
        direct = await http.request(method, core.url + path, headers=headers)
        through = await http.request(method, url + path, headers={**headers, "host": core.url.partition("//")[2]})
        assert comparable(through) == comparable(direct)


async def test_prices_come_through_digit_by_digit(tmp_path: Path) -> None:
    async with core_and_worker(tmp_path) as (_, url), httpx.AsyncClient() as http:
        assert b'"price":185.42,' in (await http.get(f"{url}/prices/AAPL")).content


async def test_foreign_hosts_are_refused_at_the_worker(tmp_path: Path) -> None:
    async with worker(tmp_path / "nobody.sock") as running, httpx.AsyncClient() as http:
        for path in ("/prices/AAPL", "/health/live", "/"):
            answer = await http.get(running.stage.address + path, headers={"host": "evil.example"})
            assert answer.status_code == 421


async def test_while_the_core_is_away_clients_hear_when_to_come_back(tmp_path: Path) -> None:
    async with worker(tmp_path / "rest.sock") as running, httpx.AsyncClient(base_url=running.stage.address) as http:
        answer = await http.get("/prices/AAPL")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
        assert "core is away" in answer.json()["detail"]
        assert (await http.get("/health/live")).status_code == 200
        assert (await http.get("/")).status_code == 200
        async with running_gateway() as core:
            server = UnixServer(core.app, tmp_path / "rest.sock")
            await server.start()
            assert (await http.get("/symbols")).status_code == 200
            await server.stop()
            assert (await http.get("/symbols")).status_code == 503
            again = UnixServer(core.app, tmp_path / "rest.sock")
            await again.start()
            assert (await http.get("/symbols")).status_code == 200
            await again.stop()


async def speak(send: Send, *chunks: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_bodies_stream_in_both_directions(tmp_path: Path) -> None:
    taken: list[int] = []

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["query_string"] == b"x=%2B"
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-own", b"1"), (b"x-own", b"2")]})
        while True:
            message = await receive()
            taken.append(len(message.get("body", b"")))
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
            if not message.get("more_body"):
                break
        await send({"type": "http.response.body", "body": b""})

    body = bytes(range(256)) * 4096
    async with core_and_worker(tmp_path, echo) as (_, url), httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/echo?x=%2B", content=body)
        assert answer.content == body
        assert answer.headers.get_list("x-own") == ["1", "2"]
        assert max(taken) < len(body)


async def test_a_core_that_breaks_off_in_an_answer_ends_the_connection(tmp_path: Path) -> None:
    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        raise ConnectionError("broken")

    async with core_and_worker(tmp_path, broken) as (_, url), httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{url}/x")
        assert (await http.get(f"{url}/health/live")).status_code == 200


async def test_a_silent_core_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "SILENT_S", 0.2)
    never = asyncio.Event()

    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await never.wait()

    async with core_and_worker(tmp_path, silent) as (_, url), httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/x")
        never.set()
        assert answer.status_code == 504
        assert answer.headers["retry-after"] == "1"


async def test_requests_under_way_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "WAITING_MAX", 2)
    go_on = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go_on.wait()
        await speak(send, b"done")

    async with core_and_worker(tmp_path, slow) as (_, url), httpx.AsyncClient() as http:
        asked = [asyncio.ensure_future(http.get(f"{url}/x")) for _ in range(3)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status_code for task in done] == [503]
        go_on.set()
        assert sorted([(await task).status_code for task in asked]) == [200, 200, 503]


async def test_a_client_that_leaves_takes_its_request_with_it(tmp_path: Path) -> None:
    seen = asyncio.Event()

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.set()
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})

    server = UnixServer(endless, tmp_path / "rest.sock")
    await server.start()
    try:
        async with worker(server.path) as running:
            client = await RudeClient.connect(running.stage.address, handshake=False)
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await seen.wait()
            await client.aclose()
            await until(lambda: running.upstream.under_way == 0)
    finally:
        await server.stop()


def test_headers_between_neighbours_stay_between_them() -> None:
    headers = [
        (b"Host", b"localhost"), (b"Connection", b"keep-alive, X-Own, host"), (b"X-Own", b"1"), (b"Keep-Alive", b"9"),
        (b"TE", b"trailers"), (b"Upgrade", b"h2c"), (b"Accept", b"a"), (b"Accept", b"b"), (b"Expect", b"100-continue"),
    ]  # fmt: skip
    assert passed_on(headers, without=frozenset({b"expect"})) == [
        (b"host", b"localhost"),
        (b"accept", b"a"),
        (b"accept", b"b"),
    ]
