import resource
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.cli import load_plan
from tickcast.cli.load_plan import Asked, Target, chosen, divide, locate
from tickcast.model.errors import StateError, UsageError

TARGET = Target(
    http="http://127.0.0.1:8000", address="127.0.0.1:8000", host="127.0.0.1:8000", path="/stream", is_loopback=True
)


def asked(**given: Any) -> Asked:
    return Asked(**{"url": "ws://127.0.0.1:8000", "clients": 10, "symbols": 2, **given})


def limit(monkeypatch: pytest.MonkeyPatch, hard: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, hard))


@pytest.mark.parametrize(
    ("url", "address", "host", "path"),
    [
        ("ws://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000", "/stream"),
        ("http://127.0.0.1:8000/stream", "127.0.0.1:8000", "127.0.0.1:8000", "/stream"),
        ("ws://[::1]:9/market/stream", "[::1]:9", "[::1]:9", "/market/stream"),
        ("http://127.0.0.1/", "127.0.0.1:80", "127.0.0.1", "/stream"),
    ],
)
def test_the_gateway_is_located(url: str, address: str, host: str, path: str) -> None:
    target = locate(url)
    assert (target.address, target.host, target.path, target.is_loopback) == (address, host, path, True)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("wss://127.0.0.1:8000", "TLS is not spoken"),
        ("ftp://127.0.0.1", "expected an address"),
        ("ws://", "expected an address"),
        ("ws://127.0.0.1:99999", "expected an address"),
        ("127.0.0.1:8000", "expected an address"),
        ("ws://no.such.host.invalid", "expected a host that exists"),
    ],
)
def test_what_is_no_address_is_said(url: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        locate(url)


def test_clients_are_divided_by_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 20_000)
    plans = divide(asked(clients=50_000, connect_rate=2_000, churn=40), TARGET, ["A", "B", "C"])
    assert [plan.clients for plan in plans] == [12_500] * 4
    assert [plan.first for plan in plans] == [0, 12_500, 25_000, 37_500]
    assert sum(plan.connect_rate for plan in plans) == 2_000
    assert sum(plan.churn for plan in plans) == 40
    assert plans[0].sources == tuple(f"127.0.0.{number}" for number in range(2, 36))
    assert len({plan.key for plan in plans}) == 1
    limit(monkeypatch, 1_064)
    assert [plan.clients for plan in divide(asked(clients=2_500), TARGET, ["A"])] == [834, 833, 833]


@pytest.mark.parametrize(
    ("hard", "given", "text"),
    [
        (
            500,
            {"clients": 1_000, "per_process": 1_000},
            "expected 1064 open files for a process, found a hard limit of 500",
        ),
        (100, {"clients": 10_000}, "expected at most 64 processes"),
        (1_000_000, {"clients": 100_000, "sources": ("127.0.0.9",)}, "expected as many free ports"),
        (10_000, {"sources": ("here",)}, "--source: expected an address"),
        (10_000, {"sources": ("::1",)}, "of the kind of"),
    ],
)
def test_what_the_system_has_not_is_said(
    monkeypatch: pytest.MonkeyPatch, hard: int, given: dict[str, Any], text: str
) -> None:
    limit(monkeypatch, hard)
    with pytest.raises(UsageError, match=text):
        divide(asked(**given), TARGET, ["A"])


def test_the_request_says_what_was_asked_for_and_no_more() -> None:
    (plan,) = divide(asked(latency="ping"), TARGET, ["A", "B", "C"])
    assert (plan.terms, plan.each, plan.every, plan.target) == ({"channel": "price"}, 2, False, "/stream")
    (plan,) = divide(asked(fields=("price",), rate=5.0, strings=True, batch=True), TARGET, ["A"])
    assert plan.terms == {"channel": "price", "rate": 5.0, "fields": ("price", "server_timestamp")}
    assert (plan.each, plan.target) == (1, "/stream?numbers=string&batch=1")
    (plan,) = divide(asked(channel="trades"), TARGET, ["A"])
    assert (plan.terms, plan.every, plan.replayed) == ({"channel": "trades"}, True, True)
    (plan,) = divide(asked(mode="all", channel="price", latency="exchange"), TARGET, ["A"])
    assert (plan.every, plan.replayed, plan.exchange) == (True, False, True)


def test_the_native_side_takes_the_plan() -> None:
    (plan,) = divide(asked(channel="book", depth=5), TARGET, ["A", "B"])
    assert b'"waiting":10' in _native.LoadEngine(msgspec.json.encode(plan)).report()
    with pytest.raises(ValueError, match="missing field"):
        _native.LoadEngine(b"{}")
    with pytest.raises(ValueError, match="unknown field"):
        _native.LoadEngine(msgspec.json.encode(plan).replace(b'"first"', b'"fist"'))


def pages(monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
    """Let the gateway list names, two a page."""

    def fetch(gateway: str, path: str, *, token: str | None) -> Any:
        start = int(path.partition("cursor=")[2] or 0)
        following = str(start + 2) if start + 2 < len(names) else None
        return {"symbols": [{"symbol": name} for name in names[start : start + 2]], "next": following}

    monkeypatch.setattr(load_plan, "fetch_from", fetch)


def test_symbols_are_those_of_all_pages_or_those_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages(monkeypatch, ["AAPL", "XNAS:AAPL", "XNAS:MSFT", "MSFT", "XSIM:AAPL"])
    assert chosen("http://x", asked()) == ("AAPL", "XNAS:AAPL", "XNAS:MSFT", "MSFT", "XSIM:AAPL")
    assert chosen("http://x", asked(names=("MSFT", "XNAS:*", "MSFT"))) == ("MSFT", "XNAS:AAPL", "XNAS:MSFT")
    with pytest.raises(UsageError, match="found none of: NOPE, XBOS:\\*"):
        chosen("http://x", asked(names=("NOPE", "MSFT", "XBOS:*")))


def test_a_server_without_symbols_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pages(monkeypatch, [])
    with pytest.raises(StateError, match="found none yet"):
        chosen("http://x", asked())
    monkeypatch.setattr(load_plan, "fetch_from", lambda *_, **__: ["something else"])
    with pytest.raises(StateError, match="whose /symbols is another"):
        chosen("http://x", asked())
