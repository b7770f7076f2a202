"""The ledger of a whole instance: faults of the simulated exchanges, killed processes, REST and the command line."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    exchanges = ("XBOS", "BINANCE", "XNYS")
    with DemoInstance(tmp_path_factory.mktemp("ledger"), rate=400, symbols=20, exchanges=exchanges) as started:
        started.wait_ready()
        yield started


def ended(instance: DemoInstance, venue: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = instance.get(f"/gaps?venue={venue}&kind={kind}&open=false")["gaps"]
    return found


def fault(instance: DemoInstance, *arguments: str) -> None:
    done = instance.cli("sim", "fault", *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("venue", "dropped", "repaired_by"),
    [
        ("XBOS", ("--count", "6"), "retransmission"),
        ("XNYS", ("--count", "6"), "retransmission"),
        # Only a depth update that is missing breaks a book: six frames in a row may all be trades and quotes. They are
        # told every 100 ms, in which this market makes some ten frames: sixty are several rounds of them, of every
        # book. REST is left alone, for the snapshots come from there.
        ("BINANCE", ("--line", "ws", "--count", "60"), "snapshot"),
    ],
    ids=["XBOS", "XNYS", "BINANCE"],
)
def test_a_drop_is_entered_and_ends_repaired(
    instance: DemoInstance, venue: str, dropped: tuple[str, ...], repaired_by: str
) -> None:
    fault(instance, venue, "drop", *dropped)
    eventually(
        lambda: [one for one in ended(instance, venue, "gap") if one["repaired_by"] == repaired_by],
        what=f"a repaired gap of {venue}",
    )
    entry = next(one for one in ended(instance, venue, "gap") if one["repaired_by"] == repaired_by)
    assert entry["instruments"][0].startswith(f"{venue}:")
    assert entry["missing"] > 0
    assert (entry["lost"] == 0) == (repaired_by == "retransmission")


def test_a_lost_link_is_entered(instance: DemoInstance) -> None:
    fault(instance, "BINANCE", "disconnect", "--for-s", "0.5")
    (entry, *_) = eventually(lambda: ended(instance, "BINANCE", "reconnect"), what="a reconnect")
    assert (entry["scope"], entry["repaired_by"]) == ("connection", "reconnect")


def test_a_killed_feed_is_an_outage_and_a_killed_core_forgets_nothing(instance: DemoInstance) -> None:
    instance.kill("xnys", signal.SIGKILL)
    eventually(lambda: ended(instance, "XNYS", "outage"), what="an outage that is over")
    (leg,) = instance.get("/completeness?symbol=XNYS:AAPL&from=1m")["legs"]
    assert (leg["answer"], leg["states_ms"]["not_running"] > 0) == ("incomplete", True)
    before = {one["id"] for one in instance.get("/gaps?limit=1000&open=false")["gaps"]}
    instance.kill("core", signal.SIGKILL)
    eventually(lambda: instance.get("/health/ready")["status"] == "ready", what="another core")
    eventually(lambda: before <= {one["id"] for one in instance.get("/gaps?limit=1000")["gaps"]}, what="all entries")


def test_the_command_line_tells_the_same(instance: DemoInstance) -> None:
    fault(instance, "XBOS", "drop", "--count", "6")
    eventually(lambda: ended(instance, "XBOS", "gap"), what="a gap")
    told = json.loads(instance.cli("gaps", "--since", "10m", "--venue", "XBOS", "--kind", "gap", "--json").stdout)
    assert {one["venue"] for one in told} == {"XBOS"}
    table = instance.cli("gaps", "--since", "10m").stdout
    assert "REPAIRED BY" in table
    assert "retransmission" in table
    assert "nothing entered" in instance.cli("gaps", "--kind", "crossed", "--venue", "XSIM").stdout
    done = instance.cli("complete", "AAPL", "--from", "10m", "--json")
    answer = json.loads(done.stdout)
    assert {leg["symbol"] for leg in answer["legs"]} >= {"XBOS:AAPL", "XNYS:AAPL"}
    assert instance.cli("complete", "NOPE").returncode == 2
    assert instance.cli("gaps", "--since", "soon").returncode == 2
