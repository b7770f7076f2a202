"""Recorded sessions of the declared venues: exit status, and the same numbers as an independent count."""

import json
import lzma
import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.captures import counting_crypto as counting
from tests.decode.files import run

pytestmark = pytest.mark.captures

CAPTURES = Path(os.environ.get("TICKCAST_CAPTURES") or Path(__file__).parents[3] / "shared" / "captures")
FOLDER = CAPTURES / "cryptofeed"
VENUES: dict[str, Any] = {
    "OKX": counting.okx,
    "COINBASE": counting.coinbase,
    "KRAKEN": counting.kraken_v1,
    "KRAKEN_FUTURES": counting.kraken_futures,
    "BITSTAMP": counting.bitstamp,
    "BYBIT": counting.bybit,
    "DERIBIT": counting.deribit,
    "KUCOIN": counting.kucoin,
    "GATEIO": counting.gateio,
    "GATEIO_FUTURES": counting.gateio,
    "BITMEX": counting.bitmex,
    "CRYPTO.COM": counting.crypto_com,
    "POLONIEX": counting.poloniex,
    "BINANCE": counting.binance,
    "BINANCE_FUTURES": counting.binance,
    "BINANCE_US": counting.binance,
    "BINANCE_DELIVERY": counting.binance,
    "BITFINEX": counting.bitfinex,
    "GEMINI": counting.gemini,
    "BITGET": counting.bitget_v1,
    "HUOBI": counting.htx,
    "HUOBI_SWAP": counting.htx,
}
NOT_READ = ("legacy",)
"""Words in the names of files of former dialects."""
UNPROVED = ("exchange_pro", "BITSTAMP", "GEMINI", "BITMEX")
"""The same where nothing proves the books."""


def counter(path: Path) -> Any:
    return counting.coinbase_exchange if "exchange_pro" in path.name else VENUES[path.parent.name]


def is_unproved(path: Path) -> bool:
    return any(word in path.name for word in UNPROVED)


def files(*, read: bool, only: str = "") -> list[Any]:
    found = sorted(path for code in VENUES for path in FOLDER.glob(f"{code}/*.jsonl.xz"))
    chosen = [path for path in found if only in path.name and read != any(word in path.name for word in NOT_READ)]
    skip = pytest.mark.skip(f"no recorded data in {CAPTURES}; set TICKCAST_CAPTURES to its folder")
    return [pytest.param(path, id=path.name) for path in chosen] or [pytest.param(Path(), marks=skip, id="none")]


def summary(path: Path, *options: str) -> dict[str, Any]:
    result = run(path.parent.name, path, "--summary", "--format", "json", *options)
    assert result.exit_code == 0, result.stderr or result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def symbol_of(code: str, name: counting.Name) -> str:
    """Write a venue's name in the house symbology, the way that its documentation explains its names."""
    market, native = name
    if code.startswith("BINANCE"):
        pair, _, end = native.partition("_")
        end = f"20{end}" if end.isdigit() else end or ("PERP" if code == "BINANCE_FUTURES" else "")
        return binance_symbol(pair) + (f"-{end}" if end else "")
    if code == "BITSTAMP":
        return binance_symbol(native.upper())
    if code == "BYBIT":
        return f"{native.removesuffix('USDT')}-USDT{'-PERP' if market == 'linear' else ''}"
    if code == "KRAKEN":
        return native.replace("/", "-").replace("XBT", "BTC")
    if code.startswith("GATEIO"):
        return native.replace("_", "-") + ("-PERP" if market == "usdt" else "")
    return SYMBOLS.get(code, str)(native)


def kraken_futures_symbol(native: str) -> str:
    kind, pair, *day = native.split("_")
    end = f"20{day[0]}" if day else "PERP"
    base = pair.removesuffix("USD").replace("XBT", "BTC")
    return f"{base}-USD-{end}{'-LINEAR' if kind.endswith('F') else ''}"


def plain_symbol(native: str) -> str:
    """``tETH2X:ETH``, ``tCHZUST``, ``ETHUSDCPERP``."""
    native = native.removeprefix("t").replace("ETH2X", "ETH2").replace("UST", "USDT")
    pair = native.removesuffix("PERP")
    if ":" in pair:
        return pair.replace(":", "-")
    quote = next(
        each for each in ("USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "LTC", "BCH") if pair.endswith(each)
    )
    return f"{pair.removesuffix(quote)}-{quote}{'-PERP' if pair != native else ''}"


def okx_symbol(native: str) -> str:
    base, quote, *rest = native.split("-")
    if not rest:
        return native
    dated = "PERP" if rest[0] == "SWAP" else f"20{rest[0]}"
    return "-".join((base, quote, dated, *rest[1:]))


def deribit_symbol(native: str) -> str:
    base, day, strike, right = native.split("-")
    date = datetime.strptime(day.title(), "%d%b%y").replace(tzinfo=UTC)
    return f"{base}-USD-{date:%Y%m%d}-{strike}-{right}"


def bitget_symbol(native: str) -> str:
    word, _, name = native.partition(":")
    return binance_symbol(name) + ("-PERP" if word == "mc" else "")


def kucoin_symbol(native: str) -> str:
    return native.replace("BCHSV", "BSV")  # the older name of the currency


def bitmex_symbol(native: str) -> str:
    """Write a name of September 2021, when one contract of each coin ended, or of a perpetual."""
    if native.endswith("U21"):
        base = native.removesuffix("U21")
        return f"{base}-BTC-20210924" if base != "XBT" else "BTC-USD-20210924"
    quote = next(each for each in ("USDT", "USD", "EUR") if native.endswith(each))
    return f"{native.removesuffix(quote).replace('XBT', 'BTC')}-{quote}-PERP"


SYMBOLS: dict[str, Callable[[str], str]] = {
    "OKX": okx_symbol,
    "DERIBIT": deribit_symbol,
    "KRAKEN_FUTURES": kraken_futures_symbol,
    "BITFINEX": plain_symbol,
    "GEMINI": plain_symbol,
    "BITGET": bitget_symbol,
    "HUOBI": lambda native: binance_symbol(native.upper()),
    "HUOBI_SWAP": "{}-PERP".format,
    "KUCOIN": kucoin_symbol,
    "BITMEX": bitmex_symbol,
    "CRYPTO.COM": lambda native: native.replace("_", "-"),
    "POLONIEX": lambda native: native.replace("_", "-"),
}
QUOTES = ("USDT", "USDC", "BUSD", "BTC", "ETH", "BNB", "EUR", "AUD", "BRL", "GBP", "USD")


def binance_symbol(native: str) -> str:
    quote = next(each for each in QUOTES if native.endswith(each))
    return f"{native.removesuffix(quote)}-{quote}"


@pytest.mark.parametrize("path", files(read=True))
def test_trades_checksums_and_chains(path: Path) -> None:
    found, counted = summary(path), counting.count(path, counter(path))
    assert (found["frames"], found["gaps"], found["unknown"], found["dead_letters"]) == (counted.frames, 0, 0, 0)
    assert found["checksums"] == {"verified": counted.checksums, "failed": 0}
    sums = found["instruments"]
    traded = {symbol_of(path.parent.name, name): counted.sums(name) for name in counted.trades}
    assert traded == {
        symbol: (one["trades"], Decimal(one["size"]), Decimal(one["notional"]))
        for symbol, one in sums.items()
        if Decimal(one["size"])
    }
    told = sum(map(len, counted.trades.values())) + sum(counted.history.values())
    assert found["records"].get("trade", 0) == told
    assert {one["gaps"] for one in sums.values()} == {0}
    assert {one["state"] for one in sums.values()} == {"unverified" if is_unproved(path) else "live"}


@pytest.mark.parametrize("path", files(read=True))
def test_books_end_where_an_independent_book_ends(path: Path) -> None:
    found, counted = summary(path)["instruments"], counting.count(path, counter(path))
    quotes = counting.quotes_of_bitmex(path) if path.parent.name == "BITMEX" else {}
    for name, (bid, ask) in {name: quotes.get(name[1]) or counted.best(name) for name in counted.books}.items():
        one = found[symbol_of(path.parent.name, name)]
        assert [None if one[side] is None else Decimal(one[side]) for side in ("bid", "ask")] == [bid, ask], name
        assert bid is None or ask is None or bid < ask


@pytest.mark.parametrize("path", files(read=True, only="BINANCE"))
def test_best_bids_and_offers_of_binance(path: Path) -> None:
    found, quotes = summary(path)["instruments"], counting.quotes_of_binance(path)
    assert quotes
    for native, (bid, ask) in quotes.items():
        one = found[symbol_of(path.parent.name, ("", native))]
        assert (Decimal(one["bid"]), Decimal(one["ask"])) == (bid, ask), native


@pytest.mark.parametrize("path", files(read=False))
def test_former_dialects_are_refused_by_name(path: Path) -> None:
    result = run(path.parent.name, path, "--summary")
    assert "this dialect is not read" in str(result.exception)
    assert path.parent.name.title()[:3].lower() in str(result.exception).lower()


@pytest.mark.parametrize("path", files(read=True, only="OKX"))
def test_the_independent_book_agrees_with_the_venues_checksums(path: Path) -> None:
    """Two connections bring the same books; the count keeps those of one, so do we."""
    checked = 0

    def checking(found: counting.Count, conn: str, frame: Any) -> Any:
        nonlocal checked
        for told in counting.okx(found, conn, frame):
            yield told
            if len(told) == 4 and (book := found.books.get(("public", told[0]))) is not None and conn.endswith("1"):
                checked += counting.crc_of_okx(book) == told[3]

    counted = counting.count(path, checking)
    assert 0 < checked <= counted.checksums


# ------------------------------------------------------------------ damage


def lines_of(path: Path) -> list[bytes]:
    return lzma.decompress(path.read_bytes()).splitlines(keepends=True)


def decoded(path: Path, code: str, data: bytes) -> Result:
    target = path / "damaged.jsonl"
    target.write_bytes(data)
    return run(code, target, "--summary", "--format", "json")


def understood(result: Result) -> dict[str, Any]:
    assert result.exit_code in {0, 3}, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def damaged(text: bytes, how: str, at: int) -> bytes:
    """Damage a frame."""
    at %= len(text)
    return {
        "cut": text[:at],
        "byte": text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :],
        "number": text.replace(b"1", b"1e999", 1 + at % 3),
        "null": text.replace(b'"', b"null", 1 + at % 5),
        "html": b"<html>502 Bad Gateway</html>",
        "deep": b"[" * 5000,
    }[how]


@pytest.mark.parametrize("path", files(read=True))
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_frames_never_crash(path: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = lines_of(path)[:400]
    received = [number for number, line in enumerate(lines) if b'"recv"' in line[:80]]
    for _ in range(data.draw(st.integers(1, 4))):
        number = data.draw(st.sampled_from(received))
        record = json.loads(lines[number])
        how = data.draw(st.sampled_from(["cut", "byte", "number", "null", "html", "deep"]))
        text = damaged(record.get("data", "").encode() or b"{}", how, data.draw(st.integers(0, 1 << 20)))
        record["data"] = text.decode(errors="replace")
        lines[number] = json.dumps(record).encode() + b"\n"
    found = understood(decoded(tmp_path_factory.mktemp("damage"), path.parent.name, b"".join(lines)))
    assert found["frames"] == len(received)
    for one in found["instruments"].values():
        if one["state"] == "live" and one["bid"] is not None and one["ask"] is not None:
            assert Decimal(one["bid"]) <= Decimal(one["ask"])


@pytest.mark.parametrize("path", files(read=True))
@given(cut=st.integers(0, 1 << 30))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_cut_files_end_in_a_dead_letter(path: Path, tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    data = b"".join(lines_of(path)[:400])
    start = data.index(b"\n") + 1
    at = start + cut % (len(data) - start)
    found = understood(decoded(tmp_path_factory.mktemp("cut"), path.parent.name, data[:at]))
    is_between = data[at - 1 : at] == b"\n" or data[at : at + 1] == b"\n"
    assert found["dead_letters"] == (0 if is_between else 1)


def difference_of(code: str, line: bytes) -> str | None:
    """Return whose book a line changes."""
    record = json.loads(line)
    frame = json.loads(record["data"], parse_float=str, parse_int=str) if record["t"] == "recv" else None
    if frame is None:
        return None
    if code.startswith("BINANCE"):
        is_depth = frame.get("data", {}).get("e") == "depthUpdate"
        return str(frame["data"]["s"]) if is_depth else None
    changes = [told for told in VENUES[code](counting.Count(), "", frame) if len(told) == 4 and not told[1]]
    return f"{record['conn']} {changes[0][0]}" if changes else None


@pytest.mark.parametrize("path", files(read=True))
def test_a_missing_frame_of_a_book_is_a_gap(path: Path, tmp_path: Path) -> None:
    """Leave out a difference of a book whose next one follows: its chain, checksum or counter shows it."""
    if path.parent.name.startswith(("HUOBI", "CRYPTO.COM")):
        pytest.skip("every message is a whole book: none is missed")
    if is_unproved(path):
        pytest.skip("nothing proves the books of this dialect: a missing difference cannot be seen")
    lines = lines_of(path)
    first = next(json.loads(line)["conn"] for line in lines if b'"recv"' in line[:80])
    names: dict[str, int] = {}
    begin = len(lines) // (2 if path.parent.name == "GATEIO" else 3)  # its snapshots have what comes before
    for at in range(begin, len(lines)):
        name = difference_of(path.parent.name, lines[at]) if first.encode() in lines[at][:60] else None
        if name in names:
            break
        if name is not None:
            names[name] = at
    assert name is not None
    del lines[names[name]]
    found = understood(decoded(tmp_path, path.parent.name, b"".join(lines)))
    assert found["gaps"] >= 1
    assert {"gap", "repairing"} & {one["state"] for one in found["instruments"].values()}
