import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, running_gateway

DEADLINE_S = 20.0


class Reader:
    """Events of one stream, read with an unchanged httpx-sse."""

    def __init__(self, source: EventSource) -> None:
        self.response = source.response
        self._events = source.aiter_sse()
        self.last_id = ""

    async def next(self) -> tuple[str, Any]:
        event: ServerSentEvent = await asyncio.wait_for(anext(self._events), DEADLINE_S)
        self.last_id = event.id
        return event.event, json.loads(event.data)

    async def until(self, wanted: Callable[[str, Any], bool]) -> list[tuple[str, Any]]:
        """Read on to an event that is wanted, which is the last of what is returned."""
        found = [await self.next()]
        while not wanted(*found[-1]):
            found.append(await self.next())
        return found

    async def end(self) -> list[tuple[str, Any]]:
        """Read to the end of the stream."""
        async with asyncio.timeout(DEADLINE_S):
            return [(event.event, json.loads(event.data)) async for event in self._events]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(Config(port=0, heartbeat_s=0.5)) as running:
        running.trade("XNAS:AAPL", "185.40")
        running.trade("XNAS:MSFT", "400.00")
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def watching(
    gateway: RunningGateway, query: str, *, last_id: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[Reader]:
    sent = (headers or {}) | ({"last-event-id": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(timeout=DEADLINE_S) as client,
        aconnect_sse(client, "GET", f"{gateway.url}/events?{query}", headers=sent) as source,
    ):
        yield Reader(source)


async def test_events_are_the_frames_of_the_stream_named_by_their_type(gateway: RunningGateway) -> None:
    async with watching(gateway, "symbols=XNAS:AAPL,XNAS:NONE&fields=price&rate=0") as reader:
        head = reader.response.headers
        assert (head["content-type"], head["cache-control"]) == ("text/event-stream", "no-store")
        name, ack = await reader.next()
        assert name == "subscribed"
        assert ack["symbols"]["XNAS:NONE"] == {"state": "no_such_symbol"}
        name, snapshot = await reader.next()
        assert (name, snapshot["type"], snapshot["price"]) == ("snapshot", "snapshot", 185.40)
        gateway.trade("XNAS:AAPL", "185.41")
        name, update = await reader.next()
        assert (name, update["price"], update["seq"]) == ("update", 185.41, snapshot["seq"] + 1)


async def test_one_id_resumes_all_symbols_and_channels(gateway: RunningGateway) -> None:
    query = "symbols=XNAS:AAPL,XNAS:NONE,XNAS:MSFT&channels=price,trades&rate=0"
    async with watching(gateway, query) as reader:
        await reader.until(lambda name, _: name == "snapshot")
        await reader.until(lambda name, _: name == "snapshot")
        gateway.trade("XNAS:AAPL", "185.50")
        await reader.until(lambda name, event: name == "trade" and event["price"] == 185.50)
        gateway.trade("XNAS:AAPL", "185.51")
        both = [await reader.until(lambda _, event: event.get("price") == 185.51) for _ in range(2)]
        stopped = next(event["seq"] for events in both for name, event in events if name == "trade")
        last_id = reader.last_id
    gateway.trade("XNAS:MSFT", "401.00")
    gateway.trade("XNAS:MSFT", "402.00")
    async with watching(gateway, query, last_id=last_id) as reader:
        replies = [await reader.next() for _ in range(4)]
        assert [name for name, _ in replies] == ["subscribed", "resumed", "subscribed", "resumed"]
        for _, resumed in (replies[1], replies[3]):
            assert {name: mark["recovered"] for name, mark in resumed["symbols"].items()} == {
                "XNAS:AAPL": True,
                "XNAS:NONE": False,
                "XNAS:MSFT": True,
            }
        gateway.trade("XNAS:AAPL", "185.52")
        news = await reader.until(lambda name, event: name == "trade" and event["price"] == 185.52)
        prices = [event for name, event in news if name in {"snapshot", "update"}]
        assert [(event["symbol"], event["price"]) for event in prices] == [("XNAS:MSFT", 402.0)]
        trades = [event for name, event in news if name == "trade"]
        assert [event["price"] for event in trades] == [401.0, 402.0, 185.52], "each missed trade, none twice"
        assert trades[-1]["seq"] == stopped + 1


@pytest.mark.parametrize("ids", ["some", "each"])
async def test_a_stream_that_is_cut_in_the_middle_of_a_write_goes_on_there(gateway: RunningGateway, ids: str) -> None:
    strangers = "".join(f",XNAS:NONE{number}" for number in range(40)) if ids == "each" else ""
    query = f"symbols=XNAS:AAPL,XNAS:MSFT{strangers}&channels=trades,price&fields=price&ids={ids}"
    async with watching(gateway, query) as reader:
        await reader.until(lambda name, _: name == "snapshot")
        await reader.until(lambda name, _: name == "snapshot")
        prices = {"XNAS:AAPL": ["186.10", "186.20", "186.30"], "XNAS:MSFT": ["402.10", "402.20", "402.30"]}
        for pair in zip(*prices.values(), strict=True):  # in one turn of the loop: they share a write
            for symbol, price in zip(prices, pair, strict=True):
                gateway.trade(symbol, price)
        found, cuts = list[tuple[str, float]](), list[str]()
        while len(found) < 6:
            name, event = await reader.next()
            if name == "trade":
                found.append((event["symbol"], event["price"]))
                cuts.append(reader.last_id)
    assert len(set(cuts)) == 6, "each trade has an id of its own"
    async with watching(gateway, query, last_id=cuts[2]) as reader:
        gateway.trade("XNAS:AAPL", "186.99")
        news = await reader.until(lambda name, event: name == "trade" and event["price"] == 186.99)
        again = [(event["symbol"], event["price"]) for name, event in news if name == "trade"]
        assert sorted(again[:-1]) == sorted(found[3:]), "those behind it, each once"


async def test_an_id_that_proves_nothing_brings_everything(gateway: RunningGateway) -> None:
    async with watching(gateway, "symbols=XNAS:AAPL&channels=price,trades") as reader:
        await reader.until(lambda name, _: name == "snapshot")
        last_id = reader.last_id
    assert re.fullmatch(r"[\w.-]{10,60}", last_id), "short, and safe in an address"
    for query, shown in (
        ("symbols=XNAS:AAPL&channels=price,trades", "nonsense"),
        ("symbols=XNAS:AAPL&channels=price,trades", last_id[:-4]),
        ("symbols=XNAS:AAPL&channels=price,trades&fields=price", last_id),
        ("symbols=XNAS:MSFT&channels=price,trades", last_id),
    ):
        async with watching(gateway, query, last_id=shown) as reader:
            news = await reader.until(lambda name, _: name == "snapshot")
            if shown == "nonsense":
                assert [event["symbols"]["XNAS:AAPL"]["reason"] for name, event in news if name == "resumed"][0:1] == [
                    "epoch_changed"
                ]


async def test_an_id_in_the_address_counts_too_and_a_new_epoch_begins_with_a_snapshot(gateway: RunningGateway) -> None:
    query = "symbols=XNAS:AAPL,XNAS:MSFT"
    async with watching(gateway, query) as reader:
        await reader.until(lambda name, _: name == "snapshot")
        await reader.until(lambda name, _: name == "snapshot")
        last_id = reader.last_id
    gateway.hub.renew("XNAS:MSFT")
    async with watching(gateway, f"{query}&last_event_id={last_id}") as reader:
        news = await reader.until(lambda name, _: name == "snapshot")
        symbols = next(event for name, event in news if name == "resumed")["symbols"]
        assert symbols["XNAS:AAPL"]["recovered"]
        assert symbols["XNAS:MSFT"]["reason"] == "epoch_changed"
        assert news[-1][1]["symbol"] == "XNAS:MSFT", "and none of the other, which stands where it stood"
        assert reader.last_id != last_id


async def test_books_bars_and_states_come_too(gateway: RunningGateway) -> None:
    gateway.book("XNAS:AAPL", [("185.40", "100")], [("185.42", "200")])
    query = "symbols=XNAS:AAPL&channels=book,bars,status&depth=5&interval=1m&numbers=string"
    async with watching(gateway, query) as reader:
        news = [await reader.next() for _ in range(6)]
        shown = {event["channel"]: event for name, event in news if name == "snapshot"}
        assert set(shown) == {"book", "bars", "status"}
        book = shown["book"]
        assert book["bids"] == [["185.40", "100"]]
        assert {event["channel"] for name, event in news if name == "subscribed"} == {"book", "bars", "status"}
        assert not reader.last_id, "of these nobody can say where a client stands"


async def test_who_hears_nothing_hears_a_comment(gateway: RunningGateway) -> None:
    reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
    writer.write(b"GET /events?symbols=BINANCE:BTC-USDT HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"event: snapshot\n\n")
        assert re.fullmatch(rb": hb \d{4}-\d\d-\d\dT[\d:.]+Z\n", await reader.readline())
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("", 422, "symbols: expected names"),
        ("symbols=", 422, "symbols: expected names"),
        ("symbols=A&channels=prices", 422, "channels: expected some of price"),
        ("symbols=A&fields=colour", 422, "fields: expected some of price"),
        ("symbols=A&channels=trades&fields=price", 422, "fields: expected it with price"),
        ("symbols=A&ids=many", 422, "ids: expected some or each"),
        ("symbols=A&rate=fast", 422, "rate: expected a number"),
        ("symbols=A&rate=nan", 422, "rate: expected a number"),
        ("symbols=A&rate=-1", 422, "rate: expected 0 (unfiltered)"),
        ("symbols=A&channels=book&depth=7", 422, "depth: expected one of 5, 10, 50"),
        ("symbols=A&numbers=roman", 422, "numbers: expected number or string"),
        ("symbols=A&mode=some", 422, "mode of price: expected merge or all"),
        ("symbols=%ff", 422, "UTF-8"),
        ("&".join(["symbols=A"] * 101), 422, "at most 100 parameters"),
        ("symbols=" + ",".join(f"S{number}" for number in range(1001)), 422, "too many symbols"),
    ],
)
async def test_a_request_that_is_refused_is_answered_by_http(
    gateway: RunningGateway, query: str, status: int, expected: str
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{gateway.url}/events?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert expected in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
    ],
)
async def test_pages_of_other_sites_get_nothing(gateway: RunningGateway, headers: dict[str, str], status: int) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{gateway.url}/events?symbols=XNAS:AAPL", headers=headers)
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers
        answer = await client.get(f"{gateway.url}/prices?symbols=XNAS:AAPL&wait=1", headers=headers)
        assert answer.status_code == status


async def test_a_page_of_this_machine_may_read(gateway: RunningGateway) -> None:
    async with watching(gateway, "symbols=XNAS:AAPL", headers={"origin": "http://localhost:5173"}) as reader:
        assert reader.response.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert (await reader.next())[0] == "subscribed"


async def test_the_end_says_when_to_come_back() -> None:
    async with running_gateway() as gateway, watching(gateway, "symbols=XNAS:AAPL") as reader:
        await reader.until(lambda name, _: name == "snapshot")
        assert gateway.stage.clients.close_some(10, lambda: 1234) is False
        ((name, event),) = await reader.end()
        assert (name, event["code"]) == ("close", 4702)
        assert event["reason"].endswith("retry in 1234 ms")
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{gateway.url}/events?symbols=XNAS:AAPL")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_who_does_not_read_is_closed_and_disturbs_nobody() -> None:
    config = Config(port=0, send_buffer=4096)
    async with running_gateway(config, watermark=4096, unsent_max=1, undrained_max_ns=1) as gateway:
        stalled, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"), limit=2048)
        writer.write(b"GET /events?symbols=XNAS:AAPL&rate=0&mode=all HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await stalled.readuntil(b"event: subscribed")
        async with watching(gateway, "symbols=XNAS:AAPL") as reader:
            await reader.until(lambda name, _: name == "snapshot")
            async with asyncio.timeout(DEADLINE_S):
                number = 0
                while len(gateway.stage.clients.streams) == 2:
                    number += 1
                    gateway.trade("XNAS:AAPL", f"{100 + number % 100}.00")
                    if not number % 100:
                        await asyncio.sleep(0)
            gateway.trade("XNAS:AAPL", "99.00")
            await reader.until(lambda _, event: event.get("price") == 99.0)
        writer.transport.abort()


async def test_an_address_holds_so_many_and_no_more() -> None:
    config = Config(port=0, connections_per_address_max=1, addresses_exempt=())
    async with running_gateway(config) as gateway:
        async with watching(gateway, "symbols=XNAS:AAPL") as reader:
            await reader.until(lambda name, _: name == "snapshot")
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{gateway.url}/events?symbols=XNAS:AAPL")).status_code == 429
        async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient() as client:
            while (await client.get(f"{gateway.url}/health/live")).status_code == 429:
                await asyncio.sleep(0.01)
