"""Symbols of running feeds, over processes: added and dropped three ways, on demand, and nothing else disturbed."""

import json
import os
import signal
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tickcast.testing.follower import Follower
from tickcast.testing.instance import ConfiguredInstance, eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
BTC, ETH, SOL, XRP = (f"OKX:{base}-USDT" for base in ("BTC", "ETH", "SOL", "XRP"))
WATCHED = "KRAKEN:BTC-USD"
OTHER = "KRAKEN:ETH-USD"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredInstance]:
    """A feed that is told its symbols and one that streams on demand, behind a gateway worker."""
    tables = {
        "gateway": "workers = 1",
        "feeds.okx": 'symbols = ["BTC-USDT", "ETH-USDT"]',
        "feeds.kraken": "on_demand = true\non_demand_max = 1\non_demand_linger_s = 2.0",
    }
    folder = tmp_path_factory.mktemp("symbols")
    with ConfiguredInstance(folder, tables, rate=400, symbols=40, exchanges=("OKX", "KRAKEN")) as running:
        running.wait_ready()
        yield running


def state(instance: ConfiguredInstance, symbol: str) -> str:
    try:
        found: str = instance.get(f"/prices/{symbol}")["state"]
    except urllib.error.HTTPError as wrong:
        return f"HTTP {wrong.code}"
    return found


def feed(instance: ConfiguredInstance, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in instance.get("/feeds")["feeds"] if row["name"] == name)
    return found


def post(instance: ConfiguredInstance, path: str, body: Any, *, token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(instance.url + path, json.dumps(body).encode(), headers)  # noqa: S310  our own loopback address
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  our own loopback address
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as wrong:
        return wrong.code, json.load(wrong)


def admin_key(instance: ConfiguredInstance) -> str:
    """A key that may change the instance; it counts as soon as it is made."""
    done = instance.cli("keys", "add", "operator", "--admin")
    assert done.returncode == 0, done
    return done.stdout.strip()


def streamed(instance: ConfiguredInstance, name: str) -> list[str]:
    return [row["symbol"] for row in instance.get(f"/feeds/{name}/symbols")["symbols"]]


def test_symbols_come_and_go_and_nothing_else_is_touched(instance: ConfiguredInstance) -> None:
    eventually(lambda: state(instance, BTC) == "live" == state(instance, ETH), what="live")
    before = feed(instance, "okx")
    with Follower(instance.stream_url, [BTC]) as follower:
        follower.more()

        done = instance.cli("symbols", "add", "okx", "SOL-USDT", SOL)
        assert (done.returncode, done.stdout) == (0, "okx: added SOL-USDT\nokx: 3 instruments are streamed\n"), done
        eventually(lambda: state(instance, SOL) == "live", what="the added one is live")

        status, answer = post(instance, "/feeds/okx/symbols", {"drop": ["ETH-USDT"]}, token=admin_key(instance))
        assert (status, answer["dropped"]) == (200, ["ETH-USDT"])
        eventually(lambda: state(instance, ETH) == "stale", what="the dropped one says so")

        reload_config(instance)
        eventually(lambda: state(instance, XRP) == "live", what="the one of the new config is live")
        assert streamed(instance, "okx") == ["BTC-USDT", "SOL-USDT", "XRP-USDT"]

        follower.more(20)
        follower.check()
        assert follower.states[BTC] == ["live"]
        assert (follower.connections, follower.lost, follower.closes) == (1, 0, [])
        assert len({epoch for _, epoch in follower.trades}) == 1
    after = feed(instance, "okx")
    assert [after[key] for key in ("pid", "restarts", "reconnects", "gaps", "dead_letters")] == [
        before[key] for key in ("pid", "restarts", "reconnects", "gaps", "dead_letters")
    ]
    entries = instance.get("/gaps?feed=okx")["gaps"]
    assert [one for one in entries if BTC in one["instruments"]] == []
    assert {(one["kind"], *one["instruments"]) for one in entries if one["kind"] in {"added", "dropped"}} == {
        ("added", SOL), ("dropped", ETH), ("added", XRP),
    }  # fmt: skip


def reload_config(instance: ConfiguredInstance) -> None:
    """Edit the config as an operator does, wrongly first."""
    path = instance.data / "demo" / "tickcast.toml"
    good = path.read_text()
    assert instance.process is not None
    path.write_text(good.replace("[feeds.okx]", "[feeds.okx"))
    os.kill(instance.process.pid, signal.SIGHUP)
    eventually(lambda: "the config is not taken; nothing is changed" in instance.output(), what="refused")
    assert streamed(instance, "okx") == ["BTC-USDT", "SOL-USDT"]
    new = good.replace('"BTC-USDT", "ETH-USDT"', '"BTC-USDT", "XRP-USDT"').replace(
        "on_demand = true", "on_demand = true\ndepth = 5"
    )
    assert tomllib.loads(new) != tomllib.loads(good)
    path.write_text(new)
    os.kill(instance.process.pid, signal.SIGHUP)
    eventually(lambda: "changed  feeds.okx: 1 added (XRP-USDT)" in instance.output(), what=instance.output())
    assert "refused  feeds.kraken: depth cannot change while it runs, so nothing of it does" in instance.output()
    done = instance.cli("reload")
    assert done.returncode == 1, "one thing is still refused"
    assert "feeds.kraken: depth" in done.stdout
    assert "okx" not in done.stdout
    path.write_text(new.replace("on_demand = true\ndepth = 5", "on_demand = true"))
    done = instance.cli("reload")
    assert (done.returncode, done.stdout) == (
        0, "the config says what is in force already; nothing is changed\n",
    )  # fmt: skip


def test_over_rest_only_the_token_changes_anything(instance: ConfiguredInstance) -> None:
    path, body = "/feeds/okx/symbols", {"drop": ["BTC-USDT"]}
    key = admin_key(instance)
    for wrong in ("", "wrong", key[:-1]):
        assert post(instance, path, body, token=wrong)[0] == 401
    assert post(instance, f"{path}?token={key}&access_token={key}", body)[0] == 401
    assert post(instance, "/feeds/none/symbols", body, token=admin_key(instance))[0] == 404
    status, answer = post(instance, path, {"add": ["NO-SUCH"]}, token=admin_key(instance))
    assert (status, "not among the" in answer["detail"]) == (422, True)
    assert "BTC-USDT" in streamed(instance, "okx")


def test_the_cli_says_what_is_wrong(instance: ConfiguredInstance) -> None:
    for arguments, word in (
        (("drop", "okx", WATCHED), "expected symbols of OKX"),
        (("add", "nowhere", "BTC-USDT"), "there is no feed 'nowhere'"),
    ):
        done = instance.cli("symbols", *arguments)
        assert (done.returncode, word in done.stderr) == (2, True), done
    listed = json.loads(instance.cli("symbols", "list", "okx", "--json").stdout)
    assert listed["listed"] > 3
    assert "BTC-USDT" in [row["symbol"] for row in listed["symbols"]]
    assert "kraken" in instance.cli("symbols", "list").stdout


# ------------------------------------------------------------------ on demand


def ask(stream: ClientConnection, *symbols: str) -> dict[str, Any]:
    """Subscribe; the ack's states."""
    stream.send(json.dumps({"action": "subscribe", "symbols": symbols}))
    while True:
        frame = json.loads(stream.recv(timeout=20))
        if frame["type"] == "subscribed":
            return {symbol: found["state"] for symbol, found in frame["symbols"].items()}


def until_state(stream: ClientConnection, symbol: str, wanted: str) -> dict[str, Any]:
    """Read on until a symbol is said to be in a state; the frame that says so."""
    while True:
        frame: dict[str, Any] = json.loads(stream.recv(timeout=30))
        if frame.get("symbol") == symbol and frame.get("state") == wanted:
            return frame


def test_what_a_client_asks_for_starts_and_ends_some_time_after_it_left(instance: ConfiguredInstance) -> None:
    eventually(lambda: state(instance, WATCHED) == "empty", what="known, and not streamed")
    assert feed(instance, "kraken")["connections"] == 0
    with connect(instance.stream_url) as first:
        assert ask(first, WATCHED) == {WATCHED: "syncing"}
        until_state(first, WATCHED, "live")
        assert streamed(instance, "kraken") == ["BTC-USD"]

        with connect(instance.stream_url) as second:
            assert ask(second, OTHER) == {OTHER: "syncing"}
            said = until_state(second, OTHER, "empty")
            assert "streams 1 instruments on demand, the most it may" in said["reason"]
            assert instance.get("/feeds/kraken/symbols")["waiting"] == ["ETH-USD"]
            first.close()
            until_state(second, OTHER, "live")
    eventually(lambda: streamed(instance, "kraken") == [], what="ended")
    eventually(lambda: state(instance, OTHER) == "empty", what="not streamed any more")
    eventually(lambda: feed(instance, "kraken")["connections"] == 0, what="no link without instruments")
    assert feed(instance, "kraken")["state"] in {"quiet", "connected"}
    with connect(instance.stream_url) as again:
        assert ask(again, OTHER) == {OTHER: "syncing"}
        until_state(again, OTHER, "live")
