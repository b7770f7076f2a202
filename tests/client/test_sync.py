"""The client for programs without an event loop, against the real gateway in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

import tickcast
from tickcast.client import Lost, RequestError, Tick, Trade, UnreachableError
from tickcast.testing.gateway import RunningGateway, running_gateway


class Market:
    """A gateway and the loop that it lives in."""

    def __init__(self) -> None:
        self.gateway: RunningGateway
        self.loop: asyncio.AbstractEventLoop
        self._is_up = threading.Event()
        self._is_over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with running_gateway() as self.gateway:
            self.gateway.trade("XNAS:AAPL", "185.40")
            self._is_up.set()
            await self._is_over.wait()

    def trade(self, name: str, price: str) -> None:
        self.loop.call_soon_threadsafe(self.gateway.trade, name, price)

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(20)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(20)


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    market = Market()
    market.start()
    yield market
    market.stop()


def test_events_come_in_a_loop_and_in_batches(market: Market) -> None:
    with tickcast.connect_sync(market.gateway.url) as client, client.ticks("AAPL", "NOPE", rate=0) as ticks:
        first = [next(ticks), next(ticks)]
        assert {tick.state for tick in first} == {"no_such_symbol", "live"}
        market.trade("XNAS:AAPL", "186.10")
        for tick in ticks:
            if str(tick.price) == "186.10":
                break
        assert ticks.counters["AAPL"].delivered >= 1
        assert (ticks.codec, ticks.is_connected, ticks.connects, ticks.symbols) == (
            "compact",
            True,
            1,
            ("AAPL", "NOPE"),
        )
        ticks.add("XNAS:MSFT")
        assert {tick.symbol for tick in ticks.batch()} == {"XNAS:MSFT"}
        ticks.drop("AAPL")
        assert ticks.symbols == ("NOPE", "XNAS:MSFT")
        assert ticks.proofs.counters_failed == 0


def test_functions_are_called_in_the_caller_s_thread(market: Market) -> None:
    heard: list[Trade | Lost] = []
    with tickcast.connect_sync(market.gateway.url) as client:
        trades = client.trades("AAPL")

        @trades.on("AAPL")
        def hear(trade: Trade | Lost) -> None:
            assert threading.current_thread() is threading.main_thread()
            heard.append(trade)
            trades.close()

        with pytest.raises(RequestError, match="plain function"):

            @trades.on()
            async def never(_: Trade | Lost) -> None:
                raise AssertionError

        def move() -> None:
            while not heard:
                market.trade("XNAS:AAPL", "187")
                threading.Event().wait(0.05)

        mover = threading.Thread(target=move)
        mover.start()
        trades.run()
        mover.join()
    assert isinstance(heard[0], Trade)


def test_what_is_asked_once_is_answered(market: Market) -> None:
    with tickcast.connect_sync(market.gateway.url) as client:
        price, missing = client.fetch_prices("AAPL", "NOPE")
        assert isinstance(price, Tick)
        assert (price.state, missing.state, price.timestamp is not None) == ("live", "no_such_symbol", True)
        assert [one.symbol for one in client.fetch_symbols("aapl", limit=2)] == ["AAPL", "XNAS:AAPL"]
        assert client.fetch_feeds() == []
        assert client.fetch_book("AAPL", depth=5).symbol == "AAPL"
        assert client.fetch_bars("AAPL", interval="1s", limit=5)[-1].trades >= 1
        assert client.bars("AAPL").batch()[0].symbol == "AAPL"
        assert client.books("AAPL").batch()[0].symbol == "AAPL"
        assert client.status().batch()


def test_any_thread_may_end_a_stream_that_waits(market: Market) -> None:
    with tickcast.connect_sync(market.gateway.url) as client:
        quiet = client.trades("XNAS:MSFT")
        timer = threading.Timer(0.1, quiet.close)
        timer.start()
        assert list(quiet) == []
        timer.join()


def test_a_closed_client_says_so_and_its_thread_is_gone(market: Market) -> None:
    client = tickcast.connect_sync(market.gateway.url)
    client.close()
    assert client.fetch_feeds is not None
    with pytest.raises(RequestError, match="that is closed"):
        client.fetch_feeds()
    client = tickcast.connect_sync(market.gateway.url)
    assert client.fetch_feeds() == []
    client.close()
    client.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "tickcast client"]


def test_nobody_there_is_an_error() -> None:
    with tickcast.connect_sync("http://127.0.0.1:9", connect_timeout_s=0.2) as client:
        with pytest.raises(UnreachableError, match="found none within"):
            next(client.ticks("AAPL"))
        with pytest.raises(UnreachableError, match="found none"):
            client.fetch_feeds()
