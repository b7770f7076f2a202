"""Who is listed: symbols, ticks, lots, starting prices. A pure function of the seed and the number of symbols."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tickcast.sim.config import Config

UNIT: Final = 100_000_000
"""Prices and sizes are integers in units of 1e-8."""

I64 = npt.NDArray[np.int64]

_STOCKS: Final = (
    "AAPL:185 MSFT:415 NVDA:120 AMZN:180 GOOGL:165 META:500 TSLA:230 AVGO:160 COST:850 NFLX:650 AMD:155 "
    "PEP:175 ADBE:550 CSCO:48 QCOM:170 INTU:640 TXN:200 AMGN:310 CMCSA:39 AMAT:200 HON:205 BKNG:3700 ISRG:440 "
    "VRTX:470 SBUX:78 MU:105 ADP:245 GILD:70 LRCX:900 INTC:31 ADI:225 MDLZ:67 REGN:1050 PANW:330 KLAC:800 "
    "SNPS:590 CDNS:300 MELI:1700 CRWD:370 PYPL:62 ASML:950 MAR:240 ABNB:150 ORLY:1050 CTAS:700 CSX:34 WDAY:225 "
    "NXPI:270 FTNT:60 MRVL:70 PCAR:105 ROP:560 ADSK:245 MNST:50 KDP:33 PAYX:120 ROST:148 TEAM:175 AEP:88 "
    "CPRT:54 ODFL:185 KHC:33 FAST:64 IDXX:490 EXC:35 CHTR:290 GEHC:80 EA:140 VRSK:270 CTSH:70 LULU:310 BKR:34 "
    "XEL:54 DDOG:125 CCEP:72 FANG:200 ON:70 BIIB:230 CSGP:75 CDW:225 DXCM:115 TTWO:155 ANSS:325 GFS:52 ZS:185 "
    "MDB:250 TTD:97 WBD:8 ILMN:105 MRNA:120 SIRI:3 DLTR:108 WBA:15 ENPH:115 LCID:3 RIVN:13 ZM:60 PINS:43 "
    "ROKU:58 DOCU:52 "
)
_PAIRS: Final = (
    "BTC:65000 ETH:3400 BNB:590 SOL:150 XRP:0.52 DOGE:0.13 ADA:0.41 TRX:0.12 AVAX:28 LINK:14 DOT:6.2 LTC:75 "
    "BCH:390 NEAR:5.3 UNI:9.5 MATIC:0.57 ICP:8.4 ETC:24 APT:7.2 FIL:4.5 ATOM:6.8 ARB:0.82 OP:1.8 INJ:22 "
    "SUI:0.85 HBAR:0.078 VET:0.024 MKR:2450 AAVE:92 GRT:0.2 ALGO:0.14 FTM:0.6 THETA:1.6 RUNE:4.2 EGLD:31 "
    "SAND:0.33 MANA:0.34 AXS:6 EOS:0.58 XTZ:0.8 KAVA:0.44 ZIL:0.018 CHZ:0.08 ENJ:0.17 BAT:0.2 COMP:50 SNX:2 "
    "CRV:0.3 ZEC:23 DASH:25 "
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Universe:
    """Columns of all instruments, stocks first; row number = index everywhere in the simulator."""

    symbols: tuple[str, ...]
    """Stocks by ticker, crypto as ``BASE-QUOTE``."""
    stock_count: int
    tick: I64
    """Price step in 1e-8."""
    lot: I64
    """Size step in 1e-8."""
    start: I64
    """Starting fair price, in ticks."""
    previous_close: I64
    """Close of the day before, in ticks."""
    spacing: I64
    """Distance of book levels, in ticks."""
    typical: I64
    """A usual order's size, in lots."""
    weight: npt.NDArray[np.float64]
    """Share of activity; the sum is 1."""

    def price_text(self, index: int, ticks: int) -> str:
        """Return a price in plain decimals, with the tick's digits."""
        return decimal_text(ticks * int(self.tick[index]), digits=tick_digits(int(self.tick[index])))


def tick_digits(tick: int) -> int:
    """Return how many decimals a tick of 1e-8 units needs."""
    digits = 8
    while digits > 0 and tick % 10 == 0:
        tick //= 10
        digits -= 1
    return digits


def decimal_text(value: int, *, digits: int = 8) -> str:
    """Return 1e-8 units as a decimal text with ``digits`` decimals."""
    whole, part = divmod(value, UNIT)
    return f"{whole}.{part:08d}"[: -(8 - digits) or None].rstrip(".") if digits < 8 else f"{whole}.{part:08d}"


def listed_stocks(count: int) -> list[tuple[str, float]]:
    """Return tickers and prices: well-known ones first, then made-up ones of four and five letters."""
    known = [(name, float(price)) for name, _, price in (word.partition(":") for word in _STOCKS.split())]
    taken = {name for name, _ in known}
    number = 0
    while len(known) < count:
        name = _made_up(number)
        number += 1
        if name not in taken:
            known.append((name, 2.0 + (number * 7919 % 48_000) / 100))
    return known[:count]


def _made_up(number: int) -> str:
    # 7919 and 26**4 share no factor: a walk over all four-letter names that does not look like counting
    length = 4 if number < 26**4 else 5
    value = number * 7919 % 26**length
    letters = []
    for _ in range(length):
        value, digit = divmod(value, 26)
        letters.append(_LETTERS[digit])
    return "".join(reversed(letters))


def listed_pairs(count: int) -> list[tuple[str, float]]:
    """Return pairs and prices: well-known bases against USDT, then made-up bases."""
    known = [(f"{name}-USDT", float(price)) for name, _, price in (word.partition(":") for word in _PAIRS.split())]
    number = 0
    while len(known) < count:
        known.append((f"{_made_up(number * 31 + 5)}X-USDT", 0.05 + (number * 104_729 % 100_000) / 1000))
        number += 1
    return known[:count]


def build(config: Config) -> Universe:
    """List the symbols that a config asks for."""
    stock_count = min(round(config.symbols * config.market.stock_share), config.symbols)
    stocks = listed_stocks(stock_count)
    pairs = listed_pairs(config.symbols - stock_count)
    names = tuple(name for name, _ in stocks + pairs)
    prices = np.array([price for _, price in stocks + pairs])
    is_stock = np.arange(len(names)) < stock_count
    tick = np.where(is_stock, UNIT // 100, 10.0 ** np.clip(np.floor(np.log10(prices)) - 4 + 8, 2, 6)).astype(np.int64)
    tick = np.where(is_stock & (prices < 1.0), UNIT // 10_000, tick)
    start = np.maximum(np.rint(prices * UNIT / tick), 200).astype(np.int64)
    random = np.random.default_rng((config.seed, 0))
    start += (start * random.uniform(-0.01, 0.01, len(names))).astype(np.int64)
    previous = np.maximum(start + (start * random.normal(0.0, 0.008, len(names))).astype(np.int64), 100)
    lot = np.where(is_stock, UNIT, 10.0 ** np.clip(np.ceil(7 - np.log10(prices)), 0, 8)).astype(np.int64)
    typical = np.where(is_stock, 100, np.maximum(np.rint(1500.0 / prices * UNIT / lot), 10)).astype(np.int64)
    rank = np.where(is_stock, np.arange(len(names)), np.arange(len(names)) - stock_count)
    weight = 1.0 / (rank + 25.0)
    return Universe(
        symbols=names,
        stock_count=stock_count,
        tick=tick,
        lot=lot,
        start=start,
        previous_close=previous,
        spacing=np.maximum(start // 20_000, 1),
        typical=typical,
        weight=weight / weight.sum(),
    )


def previous_close_csv(universe: Universe) -> str:
    """Return ``symbol,prev_close`` lines of all symbols, tokenised stocks excluded (they have no close)."""
    lines = ["symbol,prev_close"]
    lines += [
        f"{name},{universe.price_text(i, int(universe.previous_close[i]))}" for i, name in enumerate(universe.symbols)
    ]
    return "\n".join(lines) + "\n"
