"""What the reference says of a running instance, held against one."""

import re
import urllib.request
from pathlib import Path

import msgspec
import pytest

from tickcast.cli.demo_market import feed_name
from tickcast.ops.latency import LatencyReport
from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def exposition(instance: DemoInstance) -> str:
    with urllib.request.urlopen(f"{instance.url}/metrics", timeout=5) as answer:  # noqa: S310  our own loopback address
        return str(answer.read().decode())


def described(pattern: str) -> set[str]:
    return set(re.findall(pattern, (REFERENCE / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_metric_is_described_and_every_description_is_of_a_metric(instance: DemoInstance) -> None:
    text = exposition(instance)
    families = {
        f"{name}{'_total' if kind == 'counter' and not name.endswith('_total') else ''}"
        for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)
        if not name.endswith("_created")
    }
    assert families == described(r"^\| `(tickcast_\w+)`")
    sizes = set(re.findall(r'^tickcast_fanout_size\{what="(\w+)"\}', text, re.MULTILINE))
    assert sizes == described(r"^\| `(?!tickcast_)(\w+)`")


def test_every_queue_is_in_the_metrics_with_its_bound(instance: DemoInstance) -> None:
    each = (("feeds", ".inbox"), ("normalise", ".waiting"), ("bus.publisher", ""))
    fed = {f"{stage}.{feed}{rest}" for feed in map(feed_name, instance.exchanges) for stage, rest in each}
    wanted = fed | {"bus.shard.0", "fanout.client_buffers", "fanout.client_unsent", "fanout.price_history"}

    def shown(what: str) -> set[str]:
        return set(re.findall(rf'^tickcast_queue_{what}\{{queue="([\w.-]+)"\}}', exposition(instance), re.MULTILINE))

    eventually(lambda: all(wanted <= shown(what) for what in ("depth", "bound", "drops")), what="queues of the feeds")


def test_the_latency_is_in_the_metrics(instance: DemoInstance) -> None:
    def measured() -> bool:
        found = re.search(r'tickcast_latency_ms\{hop="bus_read",quantile="0.5"\} (\S+)\n', exposition(instance))
        return found is not None and float(found[1]) > 0

    eventually(measured, what="a quantile of bus_read in /metrics")


def test_the_latency_fits_its_schema(instance: DemoInstance) -> None:
    report = msgspec.convert(instance.get("/latency"), LatencyReport)
    assert len({hop.hop for hop in report.hops}) == len(report.hops) == 7


def test_the_data_folder_holds_what_is_described(instance: DemoInstance) -> None:
    text = (REFERENCE / "data-folder.md").read_text(encoding="utf-8")
    for name in ("lock", "instance.json", "control.sock", "bus.sock", "rest.sock", "epoch", "ledger.jsonl"):
        assert f"| `{name}` |" in text
    # a test's folder may be so deep that its sockets lie elsewhere
    sockets = {"control.sock", "bus.sock", "rest.sock", *(f"feed-{feed_name(one)}.sock" for one in instance.exchanges)}
    found = {path.name for path in instance.data.iterdir()} - sockets
    assert found == {"lock", "instance.json", "epoch", "ledger.jsonl", "logs", "feeds", "demo"}
    names = {"supervisor", "core", "sim", *map(feed_name, instance.exchanges)}
    assert {"supervisor", "xnas"} <= {path.stem for path in (instance.data / "logs").glob("*.log")} <= names


def test_the_fields_of_a_feed_are_described(instance: DemoInstance) -> None:
    section = (REFERENCE / "rest.md").read_text(encoding="utf-8").partition("\n## A feed\n")[2].partition("\n## ")[0]
    table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    described_fields = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert described_fields == set(instance.get("/feeds")["feeds"][0])
    example = msgspec.json.decode(re.findall(r"```json\n(.*?)\n```", section, re.DOTALL)[0])
    assert set(example) == described_fields
