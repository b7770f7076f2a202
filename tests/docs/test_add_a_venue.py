"""The venue of the how-to guide works: it comes up, and a book that breaks is repaired alone."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.venues.decoding import rows, states

from tickcast.model.record import Kind, State
from tickcast.sim.crypto.kraken import KrakenVoice
from tickcast.venues import registry
from tickcast.venues.base import Step

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-venue.md"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def example() -> dict[str, Any]:
    """Names that the guide's Python defines."""
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks():
        if "my_package" in block:  # a package of the reader's
            continue
        exec(compile(block, GUIDE.name, "exec"), names)  # noqa: S102  our own page
    return names


def test_the_venue_of_the_guide_comes_up_and_repairs_what_breaks() -> None:
    names = example()
    step: Step = names["step"]
    session, link, now = names["session"], names["link"].name, names["now"]
    assert names["link"].target == "wss://stream.sample.example/v1"
    assert states(step.records) == [State.SYNCING, State.LIVE]
    told = rows(step.records)
    trade = next(row for row in told if row.kind == Kind.TRADE)
    assert (trade.ident, str(trade.price), str(trade.size), trade.side) == (1, "100.5", "0.25", 1)
    assert {(row.kind, str(row.price)) for row in told if row.kind in (Kind.BID, Kind.ASK)} == {
        (Kind.BID, "100.0"),
        (Kind.ASK, "100.5"),
    }
    lost = b'{"channel":"book.BTCUSD","type":"update","seq":10,"prev":9,"ts":1790000000002,"bids":[],"asks":[]}'
    step = session.received(link, [lost], [now + 1])
    assert states(step.records) == [State.GAP, State.REPAIRING]
    assert [(one.kind, one.scope, one.repair) for one in step.incidents] == [("gap", "instrument", "resubscribe")]
    later = session.wake(now + 1_000_000_000)  # no more is sent at once than the venue takes
    said = [json.loads(frame) for _, frame in [*step.send, *later.send]]
    assert said == [
        {"op": "unsubscribe", "channels": ["book.BTCUSD"]},
        {"op": "subscribe", "channels": ["book.BTCUSD"]},
    ]
    again = lost.replace(b'"update"', b'"snapshot"')
    assert states(session.received(link, [again], [now + 2]).records) == [State.LIVE]


def test_the_conformance_test_of_the_guide_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [one for one in blocks() if "my_package" in one]
    package, voice = ModuleType("my_package"), ModuleType("my_package.voice")
    vars(voice)["SampleVoice"] = KrakenVoice
    monkeypatch.setitem(sys.modules, "my_package", package)
    monkeypatch.setitem(sys.modules, "my_package.voice", voice)
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(block.replace("SAMPLE", "KRAKEN"), GUIDE.name, "exec"), names)  # noqa: S102  our own page
    names["test_conformance"]("drop")
    with pytest.raises(pytest.skip.Exception):
        names["test_conformance"]("old_snapshot")


def test_the_registration_of_the_guide_is_the_one_that_is_looked_for() -> None:
    assert f'[project.entry-points."{registry.GROUP}"]' in GUIDE.read_text(encoding="utf-8")
