"""Every captured file of four families: exit status, and the same numbers as an independent count."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.captures.counting import (
    Tape,
    content,
    count_binance,
    count_itch,
    count_pitch_packets,
    count_pitch_text,
)
from tests.decode.files import run

pytestmark = pytest.mark.captures

CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES") or Path(__file__).parents[3] / "shared" / "captures")
OMI = "omi-data-packets"
STATUS_OF_FIX = {
    "cme_secdef_2018_a.dat.gz": 0,
    "ice_secdef_20190129_truncated.dat.gz": 3,
    "fix_messages_from_docs.jsonl": 3,
}


def files(*patterns: str) -> list[Any]:
    found = sorted(path for pattern in patterns for path in CAPTURES.glob(pattern))
    skip = pytest.mark.skip(f"no recorded data in {CAPTURES}; set TICKCAST_CAPTURES to its folder")
    return [pytest.param(path, id=path.name) for path in found] or [pytest.param(Path(), marks=skip, id="none")]


def summary(venue: str, path: Path, *, status: int = 0) -> dict[str, Any]:
    result = run(venue, path, "--summary", "--format", "json")
    assert result.exit_code == status, result.stderr or result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def agree(found: dict[str, Any], tape: Tape) -> None:
    assert found["frames"] - found["control"] == tape.messages
    assert (found["unpriced"], found["dead_letters"], found["unknown"]) == (tape.unpriced, 0, 0)
    assert set(tape.symbols) <= set(found["instruments"])
    for symbol, sums in found["instruments"].items():
        best = tuple(None if sums[side] is None else Decimal(sums[side]) for side in ("bid", "ask"))
        actual = (sums["trades"], Decimal(sums["size"]), Decimal(sums["notional"]), *best)
        assert actual == tape.sums(symbol), symbol


@pytest.mark.parametrize("path", files("itch/*", f"{OMI}/Nasdaq/*Itch*/*.pcap"))
def test_itch(path: Path) -> None:
    agree(summary("XNAS", path), count_itch(path))


@pytest.mark.parametrize("path", files("pitch/*.txt.gz"))
def test_pitch_text(path: Path) -> None:
    agree(summary("BATS", path), count_pitch_text(path))


@pytest.mark.parametrize("path", files("pitch/*.pcap.gz", f"{OMI}/Cboe/*/*.pcap"))
def test_pitch_packets(path: Path) -> None:
    agree(summary("BATS", path), count_pitch_packets(path))


@pytest.mark.parametrize("path", files(f"{OMI}/Nasdaq/Uqdf*/*.pcap"))
def test_packets_of_another_feed_are_unknown(path: Path) -> None:
    """UQDF travels in MoldUDP64 too; its messages are no ITCH."""
    assert summary("XNAS", path, status=3)["unknown"] == 1


@pytest.mark.parametrize("path", files("fix/*.gz", "fix/*.jsonl"))
def test_fix(path: Path) -> None:
    found = summary("FIX", path, status=STATUS_OF_FIX.get(path.name, 0))
    text = content(path)
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in text.splitlines()]
        right = [line["raw"] for line in lines if line["checksum_ok"] and line["body_length_ok"]]
        assert (found["frames"], found["checksums"]["verified"]) == (len(lines), len(right))
        assert found["dead_letters"] == len(lines) - len(right)
        trades = [re.findall(r"269=2\x01", raw) for raw in right if "\x0135=X" in raw]
        assert found["records"]["trade"] == sum(map(len, trades))
    elif found["dead_letters"]:
        assert (found["frames"], found["records"]) == (1, {})
    else:
        symbols = re.findall(rb"(?:^|\x01)55=([^\x01]*)", text, re.MULTILINE)
        assert found["frames"] == len(text.splitlines())
        assert {symbol.decode() for symbol in symbols} & set(found["instruments"])


@pytest.mark.parametrize("path", files("fix/dictionary/*"))
def test_dictionaries_are_no_logs(path: Path) -> None:
    assert "was not decoded" in str(run("FIX", path).exception)


@pytest.mark.parametrize(
    "path", files("cryptofeed/BINANCE/*.jsonl.xz") + files("cryptofeed/BINANCE_FUTURES/*.jsonl.xz")
)
def test_binance(path: Path) -> None:
    code = path.parent.name
    found = summary(code, path)
    frames, control, counted = count_binance(path)
    assert (found["frames"], found["control"], found["gaps"], found["unknown"]) == (frames, control, 0, 0)
    by_native = {symbol.removesuffix("-PERP").replace("-", ""): sums for symbol, sums in found["instruments"].items()}
    assert set(counted) <= set(by_native)
    for native, expected in counted.items():
        sums = by_native[native]
        assert sums["state"] == "live"
        for name, value in expected.items():
            assert Decimal(sums[name]) == value, (native, name)
