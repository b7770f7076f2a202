"""``docs/venues.md``, rendered from what the venues declare."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tickcast.cli.venues import Facts, books, facts, rows
from tickcast.decode.foreign import OLDER, older_at
from tickcast.venues.registry import codes, find_declared

HEAD: Final = """# Venues

What each venue gives, what proves that its books are whole, and what a break of that proof concerns. `tickcast venues`
says the same; `tickcast instruments VENUE` lists what there is to subscribe to. Where the evidence for each mapping
stands, page by page and frame by frame: `NOTES.md` in the venue's folder below `src/tickcast/venues/`.

A break marks its whole scope `gap` at once, before anything else is told. Each instrument of the scope is then repaired
and cleared on its own ([continuity](concepts/continuity.md)), and the [ledger](concepts/ledger.md) keeps from when to
when it was not whole. Where nothing proves a book its state is `unverified`, never `live`.

This page is made from the declarations and checked by `tests/docs/test_reference.py`.

"""
RECORDINGS: Final = """\
`tickcast decode` tells the dialect of a recorded session by its address. *Live*: what the venue speaks today, read
by what a feed runs. *Decode-only*: a former dialect that is read from recordings. *Not read*: refused by its name, with
exit status 2."""
MEASURED: Final = """\
What decoding them finds, and how fast the core is with them, beside cryptofeed on the same frames (`bench/crypto.py
--json docs/recordings.json`, older dialects included):"""
ROOT: Final = Path(__file__).parents[2]
RECORDED: Final = (
    ("BINANCE", "BINANCE_20210405T183323Z.jsonl.xz", "wss://stream.binance.com:9443/stream"),
    ("BINANCE", "BINANCE_20211012T002832Z.jsonl.xz", "wss://stream.binance.com:9443/stream"),
    ("BINANCE_FUTURES", "BINANCE_FUTURES_20210405T183637Z.jsonl.xz", "wss://fstream.binance.com/stream"),
    ("BINANCE_FUTURES", "BINANCE_FUTURES_20210722T222541Z.jsonl.xz", "wss://fstream.binance.com/stream"),
    ("OKX", "OKX_20210417T164958Z_legacy_v3_deflate.jsonl.xz", "wss://real.okex.com:8443/ws/v3"),
    ("OKX", "OKX_20210722T231553Z_v5.jsonl.xz", "wss://ws.okex.com:8443/ws/v5/public"),
    ("OKX", "OKX_20220513T162705Z_v5.jsonl.xz", "wss://ws.okx.com:8443/ws/v5/public"),
    ("COINBASE", "COINBASE_20210417T164337Z_exchange_pro.jsonl.xz", "wss://ws-feed.pro.coinbase.com"),
    ("COINBASE", "COINBASE_20260809T210548Z_advanced_trade_part1.jsonl.xz", "wss://advanced-trade-ws.coinbase.com"),
    ("KRAKEN", "KRAKEN_20210417T164852Z_v1.jsonl.xz", "wss://ws.kraken.com"),
    ("KRAKEN_FUTURES", "KRAKEN_FUTURES_20210722T230207Z.jsonl.xz", "wss://futures.kraken.com/ws/v1"),
    ("BITSTAMP", "BITSTAMP_20220105T004817Z.jsonl.xz", "wss://ws.bitstamp.net/"),
    ("BYBIT", "BYBIT_20210417T164306Z_legacy_v2_inverse.jsonl.xz", "wss://stream.bybit.com/realtime"),
    ("BYBIT", "BYBIT_20260809T212659Z_v5.jsonl.xz", "wss://stream.bybit.com/v5/public/linear"),
    ("GATEIO", "GATEIO_20210422T121212Z_v4.jsonl.xz", "wss://api.gateio.ws/ws/v4/"),
    ("GATEIO", "GATEIO_FUTURES_20230524T120925Z_v4.jsonl.xz", "wss://fx-ws.gateio.ws/v4/ws/usdt"),
    ("KUCOIN", "KUCOIN_20210425T191846Z.jsonl.xz", "wss://push-private.kucoin.com/endpoint"),
    ("DERIBIT", "DERIBIT_20210722T224203Z.jsonl.xz", "wss://www.deribit.com/ws/api/v2"),
    ("BITFINEX", "BITFINEX_20210405T172647Z_part1.jsonl.xz", "wss://api.bitfinex.com/ws/2"),
    ("GEMINI", "GEMINI_20210405T175407Z.jsonl.xz", "wss://api.gemini.com/v2/marketdata/"),
    ("GEMINI", "GEMINI_20210624T001426Z.jsonl.xz", "wss://api.gemini.com/v2/marketdata/"),
    ("GEMINI", "GEMINI_20260809T220633Z_v2.jsonl.xz", "wss://api.gemini.com/v2/marketdata/"),
    ("BITGET", "BITGET_20220407T000757Z_mix.jsonl.xz", "wss://ws.bitget.com/mix/v1/stream"),
    ("BITGET", "BITGET_20220407T000757Z_spot.jsonl.xz", "wss://ws.bitget.com/spot/v1/stream"),
    ("HTX", "HUOBI_20210417T164750Z.jsonl.xz", "wss://api.huobi.pro/ws"),
    ("HTX", "HUOBI_SWAP_20220219T164944Z_inverse.jsonl.xz", "wss://api.hbdm.com/swap-ws"),
    ("HTX", "HUOBI_SWAP_20220219T164944Z_linear.jsonl.xz", "wss://api.hbdm.com/linear-swap-ws"),
    ("BITMEX", "BITMEX_20210722T223607Z.jsonl.xz", "wss://www.bitmex.com/realtime"),
    ("CRYPTO_COM", "CRYPTO.COM_20211123T231839Z.jsonl.xz", "wss://stream.crypto.com/v2/market"),
    ("POLONIEX", "POLONIEX_20220821T231157Z_v2.jsonl.xz", "wss://ws.poloniex.com/ws/public"),
)
"""Sessions of the collection that the tests decode, with an address of each."""


def page() -> str:
    """Markdown of ``docs/venues.md``."""
    found = [facts(code) for code in codes()]
    return HEAD + "".join(_overview(found)) + "".join(_section(one) for one in found if one.url) + _recordings()


def _recordings() -> str:
    """Which recorded sessions are read, and how: by the dialect of their address."""
    lines = [
        "## Recordings",
        "",
        RECORDINGS,
        "",
        "| venue | former dialect | |",
        "| --- | --- | --- |",
    ]
    for code, dialects in OLDER.items():
        lines += [f"| `{code}` | {one.name} | {'decode-only' if one.reader else 'not read'} |" for one in dialects]
    lines += ["", "| recorded session | venue | |", "| --- | --- | --- |"]
    for code, name, address in RECORDED:
        older = older_at(code, address)
        mark = "live" if older is None else "decode-only" if older.reader else "not read"
        lines.append(f"| `{name}` | `{code}` | {mark} |")
    return "\n".join([*lines, *_measured()]) + "\n"


def _measured() -> Iterator[str]:
    """What `bench/crypto.py` found when it was run last; the sessions themselves are not part of this project."""
    found = json.loads((ROOT / "docs" / "recordings.json").read_text(encoding="utf-8"))
    yield ""
    yield MEASURED
    yield ""
    yield (
        "| recorded session | frames | of these control | not understood | trades | checksums agree | differ | holes"
        " | frames a CPU-second | beside cryptofeed |"
    )
    yield "| --- " * 10 + "|"
    for row in found["sessions"]:
        told = row["decoded"]
        ratios = [(row["ratio_to_cryptofeed"], ""), (row["ratio_to_cryptofeed_with_checksums"], " verifying as here")]
        beside = ", ".join(f"{ratio:.1f}x{word}" for ratio, word in ratios if ratio)
        counts = (
            told["frames"], told["control"], told["unknown"] + told["dead_letters"], told["trades"], told["verified"],
            told["failed"], told["gaps"], row["per_cpu_second"],
        )  # fmt: skip
        yield f"| `{row['file']}` | " + " | ".join(f"{count:,}" for count in counts) + f" | {beside or '-'} |"


def _overview(found: list[Facts]) -> Iterator[str]:
    yield "| venue | protocol | proved by | a book begins | a break concerns |\n| --- | --- | --- | --- | --- |\n"
    for one in found:
        yield f"| `{one.code}` | {one.title} | {one.chain or one.proof} | {one.snapshot} | {one.scope} |\n"
    yield "\n"


def _section(one: Facts) -> str:
    lines = [f"## {one.code}\n", f"{one.title}: {one.proof}.\n", "| | |\n| --- | --- |"]
    lines += [f"| {name} | {_code(name, text)} |" for name, text in rows(one) if name != "proof"]
    venue = find_declared(one.code)
    if venue is not None:
        lines += [
            "",
            "| book message | chain | checksum | begins | scope | depth |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, rule in dict(books(venue.dialect)).items():
            depth = f"as subscribed ({rule.depth_from})" if rule.depth_from else str(rule.depth or "all")
            lines.append(
                f"| `{name}` | {rule.chain} | {rule.checksum or '-'} | {rule.snapshot} | {rule.scope} | {depth} |"
            )
    return "\n".join(lines) + "\n\n"


def _code(name: str, text: str) -> str:
    if name in {"stream", "REST"}:
        return f"`{text}`"
    return ", ".join(f"`{word}`" for word in text.split(" ")) if name == "gives" else text
