import asyncio
import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import CliRunner
from rich.console import Console

from tickcast.cli import watch
from tickcast.cli.terminal import digits
from tickcast.client import Book, Lost, Tick
from tickcast.gateway.config import Config
from tickcast.model.errors import TickcastError
from tickcast.testing.gateway import running_gateway
from tickcast.testing.instance import eventually


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway on a thread of its own, since the commands are processes."""
    found: list[str] = []
    is_up = Event()
    is_over = Event()

    async def serve() -> None:
        async with running_gateway() as gateway:
            gateway.trade("XNAS:AAPL", "185.40")
            found.append(gateway.url)
            is_up.set()
            while not is_over.is_set():
                gateway.trade("XNAS:MSFT", "410.10")
                await asyncio.sleep(0.02)

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(10)
    yield found[0]
    is_over.set()
    thread.join()


def tickcast(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tickcast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_get_shows_the_price_or_the_answer_unchanged(url: str) -> None:
    shown = tickcast("get", "AAPL", "--url", url)
    assert shown.returncode == 0
    assert "185.40" in shown.stdout
    answer = tickcast("get", "XNAS:AAPL", "--json", "--url", url)
    assert '"price":185.40' in answer.stdout
    assert json.loads(answer.stdout)["symbol"] == "XNAS:AAPL"


def test_without_an_address_the_instance_of_the_data_folder_is_asked(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def gateway_address(data: object) -> str:
        asked.append(str(data))
        return url

    monkeypatch.setattr(watch, "gateway_address", gateway_address)
    done = CliRunner().invoke(watch.get, ["AAPL", "--data", str(tmp_path)])
    assert "185.40" in done.output
    assert asked == [str(tmp_path)]


def test_watch_prints_json_lines(url: str) -> None:
    done = tickcast("watch", "XNAS:MSFT", "NOPE", "--url", url, "--json", "--count", "4", "--rate", "20")
    assert done.returncode == 0, done.stderr
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ticks) == 4
    assert {tick["state"] for tick in ticks if tick["symbol"] == "NOPE"} == {"no_such_symbol"}
    assert {tick["price"] for tick in ticks if tick["symbol"] == "XNAS:MSFT"} == {"410.10"}


def test_a_port_that_closes_on_plain_http_is_said_to_speak_tls_perhaps() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_one() -> None:
            one, _ = server.accept()
            with one:
                one.recv(4096)

        thread = Thread(target=close_one)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        result = CliRunner().invoke(watch.get, ["AAPL", "--url", address])
        thread.join()
    assert isinstance(result.exception, TickcastError)
    assert f"expected a gateway at {address}, found none: " in str(result.exception)
    assert "begins with https" in str(result.exception)


def test_watch_draws_a_table(url: str) -> None:
    done = tickcast("watch", "AAPL", "XNAS:MSFT", "--url", url, "--count", "3")
    assert done.returncode == 0, done.stderr
    assert "185.40" in done.stdout
    assert "410.10" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("get", "NOPE"), 1, "no symbol NOPE"),
        (("get", "AAPL", "--url", "ftp://x"), 2, "--url: expected an address"),
        (("get", "AAPL", "--url", "http://127.0.0.1:9"), 1, "expected a gateway at"),
        (("get", "AAPL", "--data", "/nonexistent"), 1, "/nonexistent"),
        (("watch",), 2, "SYMBOLS"),
        (("watch", "NOPE", "XNAS:NOPE"), 1, "found none of that name: NOPE, XNAS:NOPE"),
        (("watch", "NOPE", "--json"), 1, "found none of that name: NOPE"),
    ],
)
def test_what_goes_wrong_is_said(url: str, arguments: tuple[str, ...], status: int, text: str) -> None:
    if "NOPE" in arguments:
        arguments = (*arguments, "--url", url)
    done = tickcast(*arguments)
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "least", "shown"),
    [("185.40000000", 2, "185.40"), ("0.00012300", 2, "0.000123"), ("100", 0, "100"), ("100", 2, "100.00"),
     ("1E+3", 0, "1000"), ("0.50000", 0, "0.5"), ("1200.00", 0, "1200")],
)  # fmt: skip
def test_the_table_leaves_out_filling_zeros(text: str, least: int, shown: str) -> None:
    assert digits(Decimal(text), least=least) == shown


@pytest.mark.parametrize(
    ("width", "value", "without"),
    [
        (60, "65640.22", {"change", "%", "size", "volume", "age", "merged"}),
        (80, "65640.22", {"size", "volume", "merged"}),
        (80, "0.00001234", {"size", "volume", "merged", "age"}),
        (95, "65640.22", {"size"}),
        (120, "65640.22", set()),
    ],
)
def test_a_narrow_table_leaves_columns_out_and_cuts_none_short(width: int, value: str, without: set[str]) -> None:
    number = Decimal(value)
    tick = Tick(
        symbol="BTC-USDT", state="halted", change=Decimal("-1043.60"), change_pct=Decimal("-1.56"),
        price=number, bid=number, ask=number, size=number, volume=number,
    )  # fmt: skip
    console = Console(width=width, file=io.StringIO(), record=True)
    symbols = ("BTC-USDT", "BINANCE:BTC-USDT")
    console.print(watch._table(symbols, {"BTC-USDT": tick}, {"BTC-USDT": 13}, width=width))
    text = console.export_text()
    headings = {"symbol", "price", "change", "%", "bid", "ask", "size", "volume", "age", "merged", "state"}
    assert set(text.split()) & headings == headings - without
    assert "…" not in text
    assert {"halted", "waiting"} <= set(text.split())
    assert text.count(value) == 5 - len({"size", "volume"} & without)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--channel", "trades"), "XNAS:MSFT  410.10 x 100  buy"),
        (("--channel", "bars"), "XNAS:MSFT  410.10 410.10 410.10 410.10"),
        (("--channel", "bars", "--json", "--codec", "proto"), '"symbol":"XNAS:MSFT","interval":"1s"'),
        (("--channel", "book", "--depth", "10"), "XNAS:MSFT  empty  bids -  asks -"),
    ],
)
def test_other_channels_are_lines(url: str, options: tuple[str, ...], expected: str) -> None:
    done = tickcast("watch", "XNAS:MSFT", "--url", url, "--count", "1", *options)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_every_kind_has_a_line() -> None:
    assert watch.line(Lost(symbol="A", count=None, reason="too_old")) == "A  some missing here: too_old"
    assert watch.line(Book(symbol="A", state="live", bids=((Decimal("1.50"), Decimal(2)),))).endswith(
        "bids 1.50 x 2  asks -"
    )


# ------------------------------------------------------------------ gateways that come and go, and the end


class Run:
    """The command as a process, and what it has said so far."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tickcast", "watch", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [Thread(target=self._read, args=(name,)) for name in self.said]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        for text in stream:
            self.said[name].append(text)
        stream.close()

    def has_said(self, name: str, text: str) -> bool:
        return any(text in said for said in self.said[name])

    def await_said(self, name: str, text: str) -> None:
        eventually(lambda: self.has_said(name, text), deadline_s=30, what=f"{text!r} in {name}: {self.said}")

    def end(self) -> int:
        self.process.terminate()
        status = self.process.wait(30)
        for reader in self._readers:
            reader.join()
        return status


class Comes:
    """A gateway at a port, from :meth:`come` to :meth:`go`."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.is_watched = False
        self._thread: Thread | None = None

    def come(self) -> None:
        self._is_up, self._is_over = Event(), Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._is_up.wait(30)

    def go(self) -> None:
        if self._thread is not None:
            self._is_over.set()
            self._thread.join()
            self._thread = None

    async def _serve(self) -> None:
        async with running_gateway(Config(port=self.port)) as gateway:
            gateway.trade("XNAS:AAPL", "185.40")
            self._is_up.set()
            while not self._is_over.is_set():
                self.is_watched = bool(gateway.hub.watched())
                await asyncio.sleep(0.02)


@pytest.fixture
def gateway() -> Iterator[Comes]:
    found = Comes()
    yield found
    found.go()


def test_a_gateway_that_does_not_answer_is_waited_for_and_said(gateway: Comes) -> None:
    run = Run("XNAS:AAPL", "--json", "--url", gateway.url)
    try:
        run.await_said("stderr", f"no gateway answers at {gateway.url}; trying again")
        gateway.come()
        run.await_said("stdout", '"185.40"')
        run.await_said("stderr", f"connected to {gateway.url}")
        gateway.go()
        run.await_said("stderr", f"the gateway at {gateway.url} answers no more; trying again")
        gateway.come()
        eventually(lambda: len(run.said["stderr"]) == 4, deadline_s=30, what="four lines")
    finally:
        status = run.end()
    assert status == 143
    assert [text.split()[0] for text in run.said["stderr"]] == ["no", "connected", "the", "connected"]


def test_a_table_in_a_pipe_is_printed_when_sigterm_ends_it(gateway: Comes) -> None:
    gateway.come()
    run = Run("XNAS:AAPL", "--url", gateway.url, "--rate", "20")
    try:
        eventually(lambda: gateway.is_watched, deadline_s=30, what="somebody who watches")
    finally:
        status = run.end()
    assert status == 143
    assert run.has_said("stdout", "XNAS:AAPL"), run.said
    assert run.said["stderr"] == []
