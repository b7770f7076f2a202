"""Recorded sessions as others would have recorded them: begun later, told twice, without lists, over several links."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.captures import counting_crypto as counting
from tests.captures.test_decode_crypto import counter, files, lines_of, symbol_of
from tests.decode.files import run

pytestmark = pytest.mark.captures
SLOW = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))


def session(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(path)]


def told(code: str, folder: Path, records: list[dict[str, Any]]) -> tuple[dict[str, Any], Path]:
    """Decode records; the file is named as the independent count expects it."""
    path = folder / "session.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    result = run(code, path, "--summary", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert (found["unknown"], found["dead_letters"]) == (0, 0)
    return found, path


def traded(found: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Trades by instrument, as far as they count."""
    return {
        symbol: (Decimal(one["size"]), Decimal(one["notional"]))
        for symbol, one in found["instruments"].items()
        if Decimal(one["size"])
    }


def counted(source: Path, path: Path) -> tuple[dict[str, tuple[Any, ...]], counting.Count]:
    count = counting.count(path, counter(source))
    sums = {symbol_of(source.parent.name, name): count.sums(name)[1:] for name in count.trades}
    return {symbol: one for symbol, one in sums.items() if one[0]}, count


@pytest.mark.parametrize("source", files(read=True))
@given(part=st.floats(0, 0.95))
@SLOW
def test_sessions_may_begin_anywhere(source: Path, tmp_path_factory: pytest.TempPathFactory, part: float) -> None:
    """Without lists, subscriptions and the recorder's settings: the frames name all that they tell of."""
    header, *records = session(source)
    frames = [record for record in records if record["t"] == "recv"]
    connects = [record for record in records if record["t"] == "connect"]
    left = frames[int(len(frames) * part) :]
    header |= {"config": {}, "selection": "part 2"}
    found, path = told(source.parent.name, tmp_path_factory.mktemp("part"), [header, *connects, *left])
    sums, count = counted(source, path)
    assert found["frames"] == len(left)
    assert traded(found) == sums
    assert found["gaps"] == 0
    for name, (bid, ask) in {name: count.best(name) for name in count.books}.items():
        one = found["instruments"].get(symbol_of(source.parent.name, name))
        if one is not None and one["state"] == "live" and one["book_changes"]:
            assert [None if one[side] is None else Decimal(one[side]) for side in ("bid", "ask")] == [bid, ask], name


@pytest.mark.parametrize("source", files(read=True))
def test_a_frame_that_comes_twice_is_told_once(source: Path, tmp_path: Path) -> None:
    """But trades of dialects without ids, of which nobody can say whether they are two."""
    header, *records = session(source)
    twice = [again for record in records for again in [record] * (1 + (record["t"] == "recv"))]
    once, _ = told(source.parent.name, tmp_path, [header, *records])
    found, _ = told(source.parent.name, tmp_path, [header, *twice])
    assert found["frames"] == 2 * once["frames"]
    assert found["gaps"] == 0
    if source.parent.name not in {"KRAKEN", "BITGET"}:
        assert traded(found) == traded(once)
    for symbol, one in once["instruments"].items():
        again = found["instruments"][symbol]
        assert (again["bid"], again["ask"], again["state"]) == (one["bid"], one["ask"], one["state"])


@pytest.mark.parametrize("source", files(read=True, only="BINANCE"))
def test_streams_of_binance_may_come_over_connections_of_their_own(source: Path, tmp_path: Path) -> None:
    header, *records = session(source)
    for record in records:
        if record["t"] == "recv":
            record["conn"] = json.loads(record["data"])["stream"].partition("@")[2]
    names = {record["conn"] for record in records if record["t"] == "recv"}
    connects = [record | {"conn": name} for record in records if record["t"] == "connect" for name in names]
    rest = [record for record in records if record["t"] in {"recv", "http"}]
    whole, _ = told(source.parent.name, tmp_path, session(source))
    found, _ = told(source.parent.name, tmp_path, [header, *connects, *rest])
    assert found == whole


@pytest.mark.parametrize("source", files(read=True, only="BINANCE"))
def test_raw_streams_of_binance_say_the_same(source: Path, tmp_path: Path) -> None:
    records = session(source)
    for record in records:
        if record["t"] == "recv":
            record["data"] = json.dumps(json.loads(record["data"])["data"])
        if record["t"] == "connect":
            record["addr"] = record["addr"].replace("/stream?streams=", "/ws/")
    whole, _ = told(source.parent.name, tmp_path, session(source))
    found, _ = told(source.parent.name, tmp_path, records)
    assert found == whole
