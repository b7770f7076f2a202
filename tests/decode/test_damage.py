"""No bytes crash the decoding: damaged files of every kind end with a status and a reason."""

import gzip
import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decode.files import DAY, SECOND_NS, datagram, framed, mold, pcap, pcapng, pitch_add, pitch_time, run, unit
from tests.decode.test_fix import MESSAGES as FIX
from tests.decode.test_itch import MESSAGES as ITCH
from tests.decode.test_pitch import LINES
from tests.decode.test_sessions import LINES as SESSION
from tests.decode.test_sessions import header, session

from tickcast.decode.containers import open_source
from tickcast.model.errors import TickcastError, UsageError

NOW = DAY * SECOND_NS
PACKETS = [(NOW + at, datagram(mold([message], at + 1))) for at, message in enumerate(ITCH)]
UNITS = [(NOW, datagram(unit([pitch_time(1), pitch_add(1, "B", 1, 100)], 1))), (NOW, datagram(unit([], 3)))]
FILES: dict[str, tuple[str, bytes]] = {
    "itch": ("XNAS", framed(ITCH)),
    "mold pcap": ("XNAS", pcap(PACKETS)),
    "mold pcapng": ("XNAS", pcapng(PACKETS)),
    "pitch text": ("BATS", "\n".join(LINES).encode()),
    "pitch pcap": ("BATS", pcap(UNITS)),
    "fix": ("FIX", b"".join(FIX)),
    "session": ("BINANCE", session(*SESSION)),
}


def ends_well(venue: str, data: bytes) -> None:
    result = run(venue, "-", stdin=data)
    if isinstance(result.exception, UsageError):
        return
    assert result.exit_code in {0, 3}, (venue, data, result.exception)
    for line in result.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_anywhere(name: str, data: st.DataObject) -> None:
    venue, good = FILES[name]
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        change: Callable[[], None] = data.draw(
            st.sampled_from(
                [
                    lambda at=at: damaged.__setitem__(at, data.draw(st.integers(0, 255))),
                    lambda at=at: damaged.__delitem__(slice(at, at + data.draw(st.integers(1, 9)))),
                    lambda at=at: damaged.__setitem__(slice(at, at), data.draw(st.binary(min_size=1, max_size=9))),
                ]
            )
        )
        change()
        if not damaged:
            break
    ends_well(venue, bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["XNAS", "BATS", "FIX", "BINANCE"]), st.binary(max_size=300))
def test_anything(venue: str, data: bytes) -> None:
    ends_well(venue, data)


@pytest.mark.parametrize(
    "lines",
    [
        session(header(config=[1])),
        session(header(settings={"venue": "BINANCE", "depth": "deep"}), *SESSION[1:]),
        session(header(), {"t": "recv", "ts": 1e300, "data": "x"}),
        session(header(), {"t": "recv", "ts": -5, "data": "x"}),
        session(header(), {"t": "recv", "ts": 5, "b64": "%%%"}),
    ],
)
def test_sessions_that_are_none(lines: bytes, tmp_path: Path) -> None:
    path = tmp_path / "session"
    path.write_bytes(lines)
    result = run("BINANCE", path)
    assert isinstance(result.exception, UsageError) or result.exit_code == 3


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_a_compressed_file_that_is_cut_is_read_up_to_there(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    whole = random.Random(4).randbytes(300_000)  # no compression makes them smaller
    path = tmp_path / "cut"
    path.write_bytes(compress(whole)[:200_000])
    with open_source(str(path)) as source:
        read = b"".join(source.chunks())
    assert whole.startswith(read)
    assert len(read) > 100_000
    assert source.fault is not None


@pytest.mark.parametrize("form", [[], ["--format", "csv"], ["--format", "arrow"], ["--summary"]])
def test_what_cannot_be_written_is_said(form: list[str], tmp_path: Path) -> None:
    path = tmp_path / "itch"
    path.write_bytes(framed(ITCH))
    result = run("XNAS", path, "--output", "/dev/full", *form)
    assert isinstance(result.exception, TickcastError)
    assert not isinstance(result.exception, UsageError)
    assert "/dev/full: expected to write there, found: No space left on device" in str(result.exception)
