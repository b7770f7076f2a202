"""Recorded sessions of crypto venues, from frames to records, in messages per CPU-second, beside cryptofeed.

    python bench/crypto.py [--seconds 2] [--captures DIR] [--peer build/witnesses/bin/python] [--json FILE]

Every file is first decoded once, and what the core is told is kept, in order. That is then told again to new cores, and
only the time in which they take frames counts: parse, exact decimals, ids, continuity and checksums, books, and dedup
behind it. With ``--json docs/recordings.json`` and the tests of the reference the tables of ``docs/venues.md`` are made
anew. cryptofeed's handlers get the same frames in
a process of its own (venues_cryptofeed.py); its callbacks do nothing. It drops no repeats, and verifies checksums
only if it is told to: where a venue has them, that is measured too. Both take turns, and the best pass of each turn
counts; shown are medians over turns, and ratios.

``small messages`` are made up: trades and quotes of one venue, 100 instruments, as a busy socket brings them.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import machine
from tickcast import _native
from tickcast.decode.run import Options, decode
from tickcast.model.record import Kind, records_from
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.venues.base import Answer, VenueConfig
from tickcast.venues.registry import open_session

FILES: Mapping[str, tuple[str, ...]] = {
    "BINANCE": ("BINANCE_20210405T183323Z",),
    "BINANCE_FUTURES": ("BINANCE_FUTURES_20210405T183637Z",),
    "OKX": ("OKX_20210722T231553Z_v5", "OKX_20220513T162705Z_v5"),
    "COINBASE": ("COINBASE_20260809T210548Z_advanced_trade_part1",),
    "KRAKEN": ("KRAKEN_20210417T164852Z_v1",),
    "KRAKEN_FUTURES": ("KRAKEN_FUTURES_20210722T230207Z",),
    "BITSTAMP": ("BITSTAMP_20220105T004817Z",),
    "BYBIT": ("BYBIT_20260809T212659Z_v5",),
    "GATEIO": ("GATEIO_20210422T121212Z_v4",),
    "GATEIO_FUTURES": ("GATEIO_FUTURES_20230524T120925Z_v4",),
    "KUCOIN": ("KUCOIN_20210425T191846Z",),
    "DERIBIT": ("DERIBIT_20210722T224203Z",),
    "BITFINEX": ("BITFINEX_20210405T172647Z_part1",),
    "GEMINI": ("GEMINI_20210405T175407Z", "GEMINI_20210624T001426Z"),
    "BITGET": ("BITGET_20220407T000757Z_spot", "BITGET_20220407T000757Z_mix"),
    "HTX": (
        "HUOBI/HUOBI_20210417T164750Z",
        "HUOBI_SWAP/HUOBI_SWAP_20220219T164944Z_inverse",
        "HUOBI_SWAP/HUOBI_SWAP_20220219T164944Z_linear",
    ),
    "BITMEX": ("BITMEX_20210722T223607Z",),
    "CRYPTO_COM": ("CRYPTO.COM/CRYPTO.COM_20211123T231839Z",),
    "POLONIEX": ("POLONIEX_20220821T231157Z_v2",),
}
"""By venue; another folder of the recordings, and name in cryptofeed, before a slash."""
CHECKSUMS = frozenset({"OKX", "KRAKEN", "BITGET"})
"""Venues whose books carry checksums. We verify each; cryptofeed only if it is told to, so it is measured both ways."""
WINDOW = 1 << 18
"""Of dedup: the default of the config."""
TELLING = frozenset({"decode", "define", "pass_over", "forget", "open_link", "rest_book", "suspend", "set_state"})
"""Calls that change a core; the others only ask."""
Call = tuple[str, tuple[Any, ...]]
Heard = tuple[tuple[Any, ...], dict[str, Any], list[Call]]
"""How a core was made, and what it was told."""
CORE = _native.JsonFeed


def listening(heard: list[Heard]) -> Callable[..., Any]:
    """Make cores whose calls are kept."""

    def make(*given: Any, **named: Any) -> Any:
        calls: list[Call] = []
        heard.append((given, named, calls))
        core = CORE(*given, **named)

        class Listening:
            def __getattr__(self, name: str) -> Any:
                found = getattr(core, name)

                def told(*given: Any, **named: Any) -> Any:
                    if name in TELLING:
                        calls.append((name, (*given, named) if named else given))
                    return found(*given, **named)

                return told

        return Listening()

    return make


class Counting:
    """A sink that counts trades."""

    def __init__(self) -> None:
        self.trades = 0

    def define(self, instrument: int, symbol: str) -> None:
        """Nothing."""

    def write(self, records: bytes, texts: Mapping[int, str] | None) -> None:
        """Count."""
        del texts
        self.trades += int((records_from(records)["kind"] == Kind.TRADE).sum())

    def close(self, report: Any) -> None:
        """Nothing."""


def listen(venue: str, path: Path) -> tuple[list[Heard], dict[str, int]]:
    """Decode a file once: what the core was told, and what was counted."""
    heard: list[Heard] = []
    sink = Counting()
    _native.JsonFeed = listening(heard)  # type: ignore[misc, assignment]
    try:
        report = decode(venue, [str(path)], sink, Options(depth=0))
    finally:
        _native.JsonFeed = CORE  # type: ignore[misc]
    names = ("frames", "control", "verified", "failed", "gaps", "unknown", "dead_letters")
    return heard, {name: getattr(report, name) for name in names} | {"trades": sink.trades}


def once(heard: Sequence[Heard]) -> tuple[int, int, float]:
    """Tell new cores all of it: frames, records, CPU seconds in which frames were taken.

    The clock runs from the first frame to the last of those that nothing else was told between: reading it for every
    call would cost a good part of a small one.
    """
    frames = records = 0
    used_s = 0.0
    for given, named, calls in heard:
        core, dedup = CORE(*given, **named), _native.Dedup(WINDOW)
        for is_frames, told in itertools.groupby(calls, lambda one: one[0] == "decode"):
            if not is_frames:
                for name, arguments in told:
                    call(core, name, arguments)
                continue
            run = [arguments for _, arguments in told]
            begin = time.process_time()
            for arguments in run:
                records += len(dedup.filter(core.decode(*arguments).records))
            used_s += time.process_time() - begin
            frames += sum(len(arguments[1]) for arguments in run)
    return frames, records // 64, used_s


def call(core: _native.JsonFeed, name: str, told: tuple[Any, ...]) -> None:
    """Tell a core something besides frames."""
    if told and isinstance(told[-1], dict):
        getattr(core, name)(*told[:-1], **told[-1])
    else:
        getattr(core, name)(*told)


def peer(python: str, venue: str, path: Path, seconds: float, *, checksums: bool = False) -> float | None:
    """cryptofeed's rate; None where it does not read the file."""
    command = [python, str(Path(__file__).parent / "venues_cryptofeed.py"), venue, str(path), "--seconds", f"{seconds}"]
    command += ["--checksums"] if checksums else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    try:
        return float(json.loads(done.stdout.splitlines()[-1])["best"])
    except (ValueError, IndexError, KeyError):
        return None


def measure(venue: str, path: Path, python: str, seconds: float, rounds: int) -> dict[str, Any]:
    """One row of the table."""
    heard, counted = listen(venue, path)
    ours: list[float] = []
    theirs: list[float] = []
    checked: list[float] = []
    frames = records = 0
    for _ in range(rounds):
        best, end = 0.0, time.monotonic() + seconds / rounds
        while not best or time.monotonic() < end:
            frames, records, used_s = once(heard)
            best = max(best, frames / used_s)
        ours.append(best)
        theirs_name = path.parent.name
        rate = peer(python, theirs_name, path, seconds / rounds) if python else None
        if rate is not None:
            theirs.append(rate)
        rate = (
            peer(python, theirs_name, path, seconds / rounds, checksums=True) if python and venue in CHECKSUMS else None
        )
        if rate is not None:
            checked.append(rate)
    row: dict[str, Any] = {"venue": venue, "file": path.name, "frames": frames, "records": records}
    row["decoded"] = counted
    row["per_cpu_second"] = round(statistics.median(ours))
    for name, rates in (("cryptofeed", theirs), ("cryptofeed_with_checksums", checked)):
        row[f"{name}_per_cpu_second"] = round(statistics.median(rates)) if rates else None
        row[f"ratio_to_{name}"] = round(statistics.median(ours) / statistics.median(rates), 2) if rates else None
    return row


# ------------------------------------------------------------------ small messages


def small(count: int) -> list[bytes]:
    """Trades and best bids and offers of a hundred instruments, one message each, as Binance writes them."""
    frames = []
    for number in range(count):
        name, cents = f"C{number % 100}USDT", 10_000 + number % 500
        if number % 2:
            data = (
                f'{{"stream":"{name.lower()}@bookTicker","data":{{"u":{number},"s":"{name}","b":"{cents}.10000000",'
                f'"B":"1.50000000","a":"{cents}.20000000","A":"0.75000000"}}}}'
            )
        else:
            data = (
                f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":1672515782136,"s":"{name}",'
                f'"t":{number // 200 + 1},"p":"{cents}.15000000","q":"0.00100000","T":1672515782136,"m":true,'
                f'"M":true}}}}'
            )
        frames.append(data.encode())
    return frames


def small_rate(seconds: float, count: int = 100_000, read: int = 64) -> float:
    """Messages per CPU-second through session and pipeline."""
    names = [f"C{number}" for number in range(100)]
    listed = {
        "symbols": [
            {"symbol": f"{name}USDT", "status": "TRADING", "baseAsset": name, "quoteAsset": "USDT", "filters": []}
            for name in names
        ]
    }
    frames = small(count)
    best, end = 0.0, time.monotonic() + seconds
    while not best or time.monotonic() < end:
        config = VenueConfig(
            venue="BINANCE", streams=("trade", "quote"), symbols=tuple(f"{name}-USDT" for name in names)
        )
        session, pipeline = open_session("bench", config, {}), Pipeline("bench")
        now = now_ns()
        asked = session.start(now).requests
        step = session.answered(asked[0], Answer(status=200, body=json.dumps(listed).encode(), received_ns=now))
        pipeline.accept(b"".join(step.records), received_ns=now, decoded_ns=now, definitions=step.definitions)
        (link,) = step.links
        session.opened(link.name, now)
        begin, records = time.process_time(), 0
        for at in range(0, count, read):
            chunk = frames[at : at + read]
            step = session.received(link.name, chunk, [now] * len(chunk))
            for batch in pipeline.accept(b"".join(step.records), received_ns=now, decoded_ns=now, texts=step.texts):
                records += len(batch.records)
            if step.dead_count:
                raise SystemExit(f"{step.dead_count} frames were not understood: {step.dead[0]}")
        best = max(best, count / (time.process_time() - begin))
        if records < count:
            raise SystemExit(f"expected {count} records at least, found {records}")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--captures", default=os.environ.get("TICKCAST_CAPTURES", ""))
    parser.add_argument("--peer", default="build/witnesses/bin/python", help="Python with cryptofeed")
    parser.add_argument("--only", default="", help="venues, joined by commas")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    python = asked.peer if Path(asked.peer).exists() else ""
    rows = []
    wanted = set(filter(None, asked.only.split(","))) or set(FILES)
    print(
        f"{'venue':16} {'frames':>7} {'records':>8} {'ours/CPU-s':>12} {'cryptofeed':>12} {'ratio':>7}"
        f" {'with checksums':>15} {'ratio':>7}"
    )
    for venue, names in FILES.items():
        for name in names:
            folder, _, file = name.rpartition("/")
            path = Path(asked.captures) / "cryptofeed" / (folder or venue) / f"{file}.jsonl.xz"
            if venue not in wanted or not asked.captures or not path.is_file():
                continue
            row = measure(venue, path, python, asked.seconds, asked.rounds)
            rows.append(row)
            cells = ""
            for peer_name, width in (("cryptofeed", 12), ("cryptofeed_with_checksums", 15)):
                theirs, ratio = row[f"{peer_name}_per_cpu_second"], row[f"ratio_to_{peer_name}"]
                cells += f" {f'{theirs:,}' if theirs else '-':>{width}} {f'{ratio:.1f}x' if ratio else '-':>7}"
            print(
                f"{venue:16} {row['frames']:7,} {row['records']:8,} {row['per_cpu_second']:12,}{cells}",
                flush=True,
            )
    if not rows:
        print("no recorded sessions: set TICKCAST_CAPTURES")
    sizes = {read: round(small_rate(asked.seconds, read=read)) for read in (1, 16, 64, 512)}
    for read, rate in sizes.items():
        print(f"small messages, {read:3} a read   {rate:14,} per CPU-second")
    if asked.json:
        result = {"benchmark": "crypto", "machine": machine.facts(), "sessions": rows, "small_messages": sizes}
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
