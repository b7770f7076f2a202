"""The composition root: what an instance consists of, and which events say something about latency."""

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest

from tickcast import app
from tickcast.config import Config
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.gateway.listener import bind
from tickcast.latest.config import Config as LatestConfig
from tickcast.model.batch import Hops, TickBatch
from tickcast.model.errors import TickcastError, UsageError
from tickcast.model.instrument import Definition
from tickcast.model.record import Flag, Kind, empty_records
from tickcast.ops.datadir import DataDir
from tickcast.runtime.clock import now_ns

CONFIG = Config(
    feeds={
        "xnas": FeedConfig(venue="XNAS", address="127.0.0.1:1"),
        "xsim": FeedConfig(venue="XSIM", rest_url="http://127.0.0.1:1"),
    },
    gateway=GatewayConfig(port=0),
    latest=LatestConfig(start_wait_s=0.1),
)


def test_an_instance_is_a_core_and_a_process_for_each_feed(tmp_path: Path) -> None:
    specs = app.processes(CONFIG, tmp_path / "c.toml", DataDir(tmp_path), port=9)
    assert [(spec.name, spec.role, spec.after) for spec in specs] == [
        ("core", "core", ()),
        ("xnas", "feed", ()),
        ("xsim", "feed", ()),
    ]
    assert "--port" in specs[0].argv  # type: ignore[operator]  # the argv of a spec may be a callable; not here
    demo = app.processes(CONFIG, tmp_path / "c.toml", DataDir(tmp_path), sim=tmp_path / "sim.toml")
    assert [spec.name for spec in demo] == ["core", "sim", "xnas", "xsim"]
    assert demo[2].after == ("sim",)


def test_workers_come_after_the_core_and_inherit_the_listening_socket(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, gateway=GatewayConfig(port=0, workers=2))
    with bind(config.gateway) as listener:
        specs = app.processes(config, tmp_path / "c.toml", DataDir(tmp_path), listener=listener)
        inherited = (listener.fileno(),)
        assert [(spec.name, spec.role, spec.after, spec.pass_fds) for spec in specs] == [
            ("core", "core", (), ()),
            ("gateway1", "gateway", ("core",), inherited),
            ("gateway2", "gateway", ("core",), inherited),
            ("xnas", "feed", (), ()),
            ("xsim", "feed", (), ()),
        ]
        argv = list(specs[1].argv)  # type: ignore[arg-type]  # as above
        assert argv[argv.index("--listen-fd") + 1] == str(listener.fileno())


async def test_with_workers_the_core_answers_rest_on_a_unix_socket_and_binds_no_port(tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, gateway=GatewayConfig(port=0, workers=1))
    data = DataDir(tmp_path)
    data.create()
    core = app.Core(config, data)
    where = await core.start()
    try:
        assert where == {"rest": str(data.socket("rest"))}
        assert data.socket("rest").stat().st_mode & 0o777 == 0o600
        transport = httpx.AsyncHTTPTransport(uds=where["rest"])
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/health/live")).json() == {"status": "live"}
    finally:
        await core.stop()
    assert not data.socket("rest").exists()


async def test_a_feed_that_is_not_in_the_config_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of the feeds xnas, xsim, found 'moon'"):
        await app.run_feed("moon", CONFIG, DataDir(tmp_path), stop=asyncio.Event(), ready=lambda: None)


def test_a_calendar_that_does_not_exist_is_the_users_error(tmp_path: Path) -> None:
    config = Config(feeds={"xnas": FeedConfig(venue="XNAS", address="127.0.0.1:1", calendar="MOON")})
    with pytest.raises(UsageError, match=r"feeds\.xnas\.calendar: expected a session calendar"):
        app.Core(config, DataDir(tmp_path))


def trade(*, feed: str, age_ns: int, session_ms: int, flags: int = 0) -> TickBatch:
    now = now_ns()
    records = empty_records(1)
    records["kind"], records["instrument"], records["price"], records["size"] = Kind.TRADE, 1, 5, 1
    records["ts_event"], records["ts_recv"] = now - age_ns, now
    records["flags"] = Flag.LAST_OF_EVENT | flags
    definition = Definition(
        instrument=1, venue="XNAS", symbol="A", feed=feed, security="A", asset_class="equity", currency="USD"
    )
    hops = Hops(received=now, decoded=now, bus_in=now, bus_out=now)
    return TickBatch(feed, session_ms, records, (definition,), hops=hops)


async def test_replays_and_polled_venues_are_left_out_of_the_latency(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.create()
    core = app.Core(CONFIG, data)
    await core.start()

    def counted() -> int:
        rows = core._latency.snapshot()["hops"]
        return int(next(row["count"] for row in rows if row["hop"] == "exchange_to_socket"))

    minute_ago_ms = now_ns() // 1_000_000 - 60_000
    core._latest.apply(trade(feed="xnas", age_ns=1_000_000, session_ms=minute_ago_ms))
    assert counted() == 1
    core._latest.apply(trade(feed="xnas", age_ns=120_000_000_000, session_ms=minute_ago_ms))
    core._latest.apply(trade(feed="xnas", age_ns=1_000_000, session_ms=minute_ago_ms, flags=Flag.BACKFILLED))
    core._latest.apply(trade(feed="xsim", age_ns=1_000_000, session_ms=minute_ago_ms))
    assert counted() == 1, "older than the feed session, backfilled, polled"
    assert core.failures() == []
    await core.stop()


async def test_the_door_opens_once_every_feed_has_defined_its_instruments(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.create()
    core = app.Core(msgspec.structs.replace(CONFIG, latest=LatestConfig(start_wait_s=30)), data)
    starting = asyncio.ensure_future(core.start())
    for feed in CONFIG.feeds:
        await asyncio.wait([starting], timeout=0.1)
        assert not starting.done(), f"{feed} has not said what there is"
        batch = trade(feed=feed, age_ns=0, session_ms=1)
        (definition,) = batch.definitions
        batch.definitions = (msgspec.structs.replace(definition, instrument=len(feed)),)
        core._latest.apply(batch)
    assert (await asyncio.wait_for(starting, 5))["http"].startswith("http://127.0.0.1:")
    await core.stop()


async def test_a_core_that_broke_inside_ends_so_that_a_whole_one_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataDir(tmp_path)
    data.create()
    monkeypatch.setattr(app.Core, "failures", lambda _: ["latest: boom"])
    with pytest.raises(TickcastError, match="latest: boom"):
        await app.run_core(CONFIG, data, stop=asyncio.Event(), ready=lambda **_: None)
