"""REST from the client's side: pages, refusals, a gateway that is busy, answers that are none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

import tickcast
from tickcast.client import Client, NotAllowedError, ProtocolError, RequestError, TokenError
from tickcast.testing.gateway import RunningGateway

SECRET = "s3cret"  # noqa: S105  a test's own
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def served(handler: Handler, token: str | None = None) -> AsyncIterator[Client]:
    """A client of a server that answers everything with ``handler``."""
    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with asyncio.timeout(20), tickcast.connect(f"http://127.0.0.1:{port}/deep", token=token) as client:
            yield client
    finally:
        await runner.cleanup()


async def test_pages_are_joined_and_cut(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickcast.client.rest.PAGE", 2)
    async with tickcast.connect(gateway.url) as client:
        whole = [one.symbol for one in await client.fetch_symbols()]
        assert len(whole) == 7
        assert len(set(whole)) == 7
        assert [one.symbol for one in await client.fetch_symbols(limit=3)] == whole[:3]
        (bitcoin,) = await client.fetch_symbols(venue="BINANCE")
        assert (bitcoin.venue, bitcoin.asset_class, bitcoin.security) == ("BINANCE", "crypto", "BTC-USDT")


async def test_what_is_refused_is_said(gateway: RunningGateway) -> None:
    async with tickcast.connect(gateway.url) as client:
        with pytest.raises(RequestError, match="404: there is no symbol NOPE") as refused:
            await client.fetch_book("NOPE")
        assert refused.value.code == 404
        with pytest.raises(RequestError, match="422"):
            await client.fetch_bars("AAPL", limit=0)
        with pytest.raises(RequestError, match="at least one symbol"):
            await client.fetch_prices()


async def test_the_token_is_shown_and_goes_nowhere_else() -> None:
    shown: list[tuple[str, str]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        shown.append((request.path, request.headers.get("Authorization", "")))
        raise web.HTTPFound("/elsewhere")

    async with served(elsewhere, SECRET) as client:
        with pytest.raises(RequestError, match="302"):
            await client.fetch_feeds()
    assert shown == [("/deep/feeds", f"Bearer {SECRET}")]


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (401, '{"detail":"over"}', TokenError, "does not take the token.*over"),
        (403, '{"detail":"not yours"}', NotAllowedError, "403: not yours"),
        (500, "oops", RequestError, "500: oops"),
        (200, "<html>", ProtocolError, "the answer of a gateway"),
        (200, '{"feeds":7}', ProtocolError, "the answer of a gateway"),
    ],
)
async def test_answers_become_errors(status: int, body: str, error: type[Exception], text: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    async with served(answer, SECRET) as client:
        with pytest.raises(error, match=text) as raised:
            await client.fetch_feeds()
    assert SECRET not in str(raised.value)


async def test_a_busy_gateway_is_asked_once_more() -> None:
    asked = 0

    async def busy(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked % 2:
            return web.Response(status=503, headers={"Retry-After": "0"}, text='{"detail":"busy"}')
        return web.Response(text='{"feeds":[{"name":"xnas","venue":"XNAS","state":"connected","news":1}]}')

    async with served(busy) as client:
        (feed,) = await client.fetch_feeds()
    assert (feed.name, feed.state, asked) == ("xnas", "connected", 2)
