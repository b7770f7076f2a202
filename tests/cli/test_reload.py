"""Reading the config again: what is told to feeds, what is refused, and that a broken file changes nothing."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tickcast.cli.reload import Reloader, told
from tickcast.cli.simulated import rewrite, write
from tickcast.config import Config
from tickcast.feeds.config import FeedConfig
from tickcast.gateway.config import Config as GatewayConfig
from tickcast.model.errors import UsageError
from tickcast.ops.control import ControlServer, feed_socket
from tickcast.ops.datadir import DataDir

OKX = FeedConfig(venue="OKX", symbols=("BTC-USDT",))


class Feed:
    """A feed's process: says what it is told to say, and notes what it was told."""

    def __init__(self, data: DataDir, name: str, **answer: Any) -> None:
        self.tables: list[dict[str, Any]] = []
        self.answer = answer
        self.server = ControlServer(feed_socket(data, name), self._take)

    async def _take(self, request: Mapping[str, Any]) -> Any:
        self.tables.append(request["table"])
        return self.answer


async def reload(data: DataDir, before: Config, after: Config | UsageError) -> tuple[list[str], list[str]]:
    def read() -> Config:
        if isinstance(after, UsageError):
            raise after
        return after

    lines: list[str] = []
    await Reloader(before, data, read=read, tell=lines.append)()
    return [one for one in lines if one.startswith("changed")], [one for one in lines if one.startswith("refused")]


async def test_what_a_feed_takes_is_said(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    symbols = {"added": ["ETH-USDT"], "dropped": ["BTC-USDT"], "streamed": 1, "missing": ["NO-SUCH"]}
    feed = Feed(data, "okx", taken=["symbols", "on_demand_max"], symbols=symbols)
    await feed.server.start()
    new = FeedConfig(venue="OKX", symbols=("ETH-USDT", "NO-SUCH"), on_demand_max=7)
    changed, refused = await reload(data, Config(feeds={"okx": OKX}), Config(feeds={"okx": new}))
    await feed.server.stop()
    assert changed == [
        (
            "changed  feeds.okx: on_demand_max is 7, 1 added (ETH-USDT), 1 dropped (BTC-USDT), 1 are streamed, "
            "not in the venue's list: NO-SUCH"
        )
    ]
    assert refused == []
    assert feed.tables[0]["symbols"] == ["ETH-USDT", "NO-SUCH"]


async def test_what_needs_a_restart_is_refused_by_key(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    feed = Feed(data, "okx", refused=["url", "depth"])
    await feed.server.start()
    before = Config(feeds={"okx": OKX, "old": OKX})
    after = Config(
        feeds={"okx": OKX, "new": OKX},
        gateway=GatewayConfig(port=9000, host="127.0.0.2"),
        securities={"BTC": ("OKX:BTC-USDT",)},
    )
    changed, refused = await reload(data, before, after)
    await feed.server.stop()
    assert changed == []
    assert refused == [
        (
            "refused  feeds.okx: url, depth cannot change while it runs, so nothing of it does; "
            "to take it all: tickcast restart okx"
        ),
        "refused  feeds.new: a new feed starts with the instance (tickcast stop, tickcast up)",
        "refused  feeds.old: is left out; to end it: tickcast stop old",
        "refused  securities: BTC: the instance began with something else (tickcast stop, tickcast up)",
        "refused  gateway: host, port: the instance began with something else (tickcast stop, tickcast up)",
    ]


async def test_a_feed_that_is_away_reads_it_by_itself(tmp_path: Path) -> None:
    _, refused = await reload(DataDir(tmp_path), Config(feeds={"okx": OKX}), Config(feeds={"okx": OKX}))
    assert len(refused) == 1
    assert refused[0].endswith("it reads the config when it starts")


async def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    feed = Feed(data, "okx")
    await feed.server.start()
    with pytest.raises(UsageError, match="line 3"):
        await reload(data, Config(feeds={"okx": OKX}), UsageError("line 3: expected a number"))
    await feed.server.stop()
    assert feed.tables == []


async def test_nothing_new_is_said_too(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    feed = Feed(data, "okx")
    await feed.server.start()
    before = Config(feeds={"okx": OKX})
    outcome = await Reloader(before, data, read=lambda: before)()
    await feed.server.stop()
    assert told(outcome) == ["the config says what is in force already; nothing is changed"]


# ------------------------------------------------------------------ --simulated


def test_a_simulated_instance_keeps_its_addresses(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[feeds.a]\nvenue = "OKX"\nurl = "wss://real"\nsymbols = ["BTC-USDT"]\n[feeds.b]\nvenue = "XNYS"\n'
        "heartbeat_s = 9\n"
    )
    files = write(path, tmp_path / "demo")
    before = tomllib.loads(files.instance.read_text())
    path.write_text(path.read_text().replace('["BTC-USDT"]', '["ETH-USDT"]').replace("heartbeat_s = 9\n", ""))
    rewrite(path, files)
    after = tomllib.loads(files.instance.read_text())
    assert after["feeds"]["a"] == {**before["feeds"]["a"], "symbols": ["ETH-USDT"]}
    assert after["feeds"]["b"]["address"] == before["feeds"]["b"]["address"]


@pytest.mark.parametrize("text", ["[feeds", '[feeds.a]\nvenue = "OKX"\nsymbol = 1\n', '[feeds.a]\nvenue = "KRAKEN"\n'])
def test_what_is_wrong_leaves_the_simulated_instance_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[feeds.a]\nvenue = "OKX"\n')
    files = write(path, tmp_path / "demo")
    before = files.instance.read_text()
    path.write_text(text)
    with pytest.raises(UsageError):
        rewrite(path, files)
    assert files.instance.read_text() == before
