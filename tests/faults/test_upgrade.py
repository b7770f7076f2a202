"""An instance is upgraded while the market trades: every trade comes once, and nobody hears of a loss."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickcast.testing.follower import Follower
from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
VENUES = ("OKX", "KRAKEN")
SYMBOLS = ("OKX:BTC-USDT", "OKX:ETH-USDT", "KRAKEN:BTC-USD", "KRAKEN:ETH-USD")


@pytest.fixture
def instance(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DemoInstance]:
    options = getattr(request, "param", ())
    with DemoInstance(tmp_path, *options, rate=3000, symbols=20, exchanges=VENUES) as started:
        started.wait_ready(deadline_s=90)
        for symbol in SYMBOLS:
            eventually(lambda symbol=symbol: started.get(f"/prices/{symbol}")["state"] == "live", what=symbol)  # type: ignore[misc]  # lambda default
        yield started


def pause(instance: DemoInstance) -> None:
    """Stop the market, so that what was told can be compared with what is true."""
    request = urllib.request.Request(instance.sim_admin() + "/pause", method="POST")  # noqa: S310  loopback
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


def last_ids(instance: DemoInstance) -> dict[str, int]:
    """Number of the last trade of each symbol, by the exchange."""
    found = {}
    for venue in VENUES:
        for row in instance.truth(venue)["symbols"].values():
            found[f"{venue}:{row['symbol']}"] = int(row["last_id"] or 0)
    return found


def upgrade(instance: DemoInstance, *names: str) -> list[str]:
    """Run the command; returns what it says of each process."""
    done = instance.cli("upgrade", *names, timeout_s=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def assert_all_came(instance: DemoInstance, follower: Follower) -> None:
    """Each trade from the first that was told to the last that happened came once, in order."""
    pause(instance)
    truth = last_ids(instance)
    for symbol in SYMBOLS:
        follower.until(
            lambda symbol=symbol: follower.ids[symbol][-1:] == [str(truth[symbol])],  # type: ignore[misc]  # lambda default
            f"the last trade of {symbol}",
        )
        ids = [int(one) for one in follower.ids[symbol]]
        assert ids == list(range(ids[0], truth[symbol] + 1)), symbol
        assert len(ids) > 20, f"{symbol}: too few trades to say anything"


def gaps(instance: DemoInstance) -> list[str]:
    """Kinds of losses that the ledger has."""
    return [row["kind"] for row in instance.get("/gaps")["gaps"] if row["kind"] not in {"halt", "listed", "drift"}]


def test_feeds_are_replaced_and_nobody_notices(instance: DemoInstance) -> None:
    before = instance.ps()
    with Follower(instance.stream_url, SYMBOLS, channels=("price", "trades")) as follower:
        follower.more(20)
        said = upgrade(instance, "okx", "kraken")
        follower.more(20)
        assert_all_came(instance, follower)
        follower.check()
        assert (follower.lost, follower.connections, len(follower.epochs)) == (0, 1, 1)
        assert all(set(states) <= {"live"} for states in follower.states.values()), dict(follower.states)
    assert [line.endswith("took over") for line in said] == [True, True]
    after = instance.ps()
    for name in ("okx", "kraken"):
        assert after[name]["pid"] != before[name]["pid"]
        assert after[name]["restarts"] == 0
    assert after["core"]["pid"] == before["core"]["pid"]
    assert gaps(instance) == []
    rows = {row["name"]: row for row in instance.get("/feeds")["feeds"]}
    assert all(rows[name]["restarts"] == 0 for name in ("okx", "kraken"))


def test_the_core_is_replaced_and_clients_resume(instance: DemoInstance) -> None:
    before = instance.ps()
    figures = instance.get("/prices/OKX:BTC-USDT")
    with Follower(instance.stream_url, SYMBOLS, channels=("price", "trades")) as follower:
        follower.more(20)
        assert upgrade(instance, "core")[0].endswith("took over")
        follower.until(lambda: follower.connections == 2, "a connection to the new core")
        follower.more(20)
        assert_all_came(instance, follower)
        follower.check()
        assert follower.lost == 0
        assert len(follower.epochs) == 1
        assert follower.resumed
        assert all(recovered for _, _, recovered, _ in follower.resumed), follower.resumed
    after = instance.ps()
    assert after["core"]["pid"] != before["core"]["pid"]
    assert all(after[name]["pid"] == before[name]["pid"] for name in ("okx", "kraken"))
    now = instance.get("/prices/OKX:BTC-USDT")
    assert (now["epoch"], now["open"]) == (figures["epoch"], figures["open"])
    assert now["volume"] >= figures["volume"]
    assert gaps(instance) == []


@pytest.mark.parametrize("instance", [("--gateways", "1")], indirect=True)
def test_with_workers_the_core_is_replaced_behind_open_connections(instance: DemoInstance) -> None:
    with Follower(instance.stream_url, SYMBOLS, channels=("price", "trades")) as follower:
        follower.more(20)
        upgrade(instance, "core")
        follower.more(20)
        assert_all_came(instance, follower)
        follower.check()
        assert (follower.lost, follower.connections, len(follower.epochs)) == (0, 1, 1)
    assert gaps(instance) == []


def test_everything_is_replaced_one_after_another(instance: DemoInstance) -> None:
    before = instance.ps()
    with Follower(instance.stream_url, SYMBOLS, channels=("price", "trades")) as follower:
        follower.more(20)
        said = upgrade(instance)
        assert [line.partition(":")[0] for line in said] == ["okx", "kraken", "core"]
        follower.more(20)
        assert_all_came(instance, follower)
        assert (follower.lost, len(follower.epochs)) == (0, 1)
    after = instance.ps()
    assert all(after[name]["pid"] != before[name]["pid"] for name in ("okx", "kraken", "core"))
    assert after["sim"]["pid"] == before["sim"]["pid"]


def test_what_is_unknown_is_refused(instance: DemoInstance) -> None:
    done = instance.cli("upgrade", "sim", "nobody")
    assert done.returncode == 2
    assert "sim, nobody" in done.stderr
