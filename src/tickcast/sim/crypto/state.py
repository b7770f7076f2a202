"""What a simulated venue knows of one instrument, and what it is about to tell: the arguments of a voice."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from tickcast.sim.crypto.listing import Product
from tickcast.sim.universe import UNIT, decimal_text, tick_digits

TRADES_KEPT: Final = 1000
_TEXTS_MAX: Final = 20_000

Levels = dict[int, int]
"""Price in ticks to size in lots."""

Kind = Literal[
    "trade", "quote", "book", "ticker", "mark", "index", "funding", "open_interest", "liquidation", "greeks", "status",
    "heartbeat", "other",
]  # fmt: skip
"""What a topic tells; ``other`` is taken and told by nothing."""


class Texts:
    """Numbers of one instrument as decimal texts with the digits of its step; each is written once."""

    __slots__ = ("_digits", "_known", "_step")

    def __init__(self, step: int, digits: int | None = None) -> None:
        """``digits``: decimals that are written; by default those of the step."""
        self._step, self._digits = step, tick_digits(step) if digits is None else digits
        self._known: dict[int, str] = {}

    def __call__(self, steps: int) -> str:
        """Return ``steps`` steps as a text (``65000.10``, ``3``)."""
        text = self._known.get(steps)
        if text is None:
            if len(self._known) >= _TEXTS_MAX:
                self._known.clear()
            units = steps * self._step
            text = "-" * (units < 0) + (
                decimal_text(abs(units), digits=self._digits) if self._digits else str(abs(units) // UNIT)
            )
            self._known[steps] = text
        return text


@dataclass(slots=True)
class Trade:
    """One print."""

    id: int
    price: int
    """Ticks."""
    size: int
    """Lots."""
    buy: bool
    """The buyer was the aggressor."""
    ts_ns: int
    """As told: the clock fault is in it."""
    maker: int
    """Reference of the resting order."""
    liquidation: bool = False


@dataclass(slots=True)
class Stats:
    """Since the start: a simulated day is younger than 24 hours. Prices in ticks, sizes in lots."""

    open: int = 0
    high: int = 0
    low: int = 0
    last: int = 0
    last_size: int = 0
    volume: int = 0
    turnover: float = 0.0
    """Price times size, in ticks and lots."""
    count: int = 0
    first_id: int = 0

    def take(self, trade: Trade) -> None:
        """Count one trade."""
        price = trade.price
        if not self.count:
            self.first_id = trade.id
            self.open = self.open or price
        self.high = max(self.high, price)
        self.low = min(self.low or price, price)
        self.last, self.last_size = price, trade.size
        self.volume += trade.size
        self.turnover += price * trade.size
        self.count += 1


@dataclass(frozen=True, slots=True)
class Greeks:
    """Of an option, by the model that prices it; a volatility of 0.6 is 60 %."""

    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    rho: float = 0.0
    volatility: float = 0.0


class Instrument:
    """One instrument of the venue: numbers that its voice turns into text."""

    __slots__ = (
        "best", "book_id", "fixed", "funding", "funding_next_ns", "greeks", "halted", "index_price", "liquidations",
        "mark", "native", "open_interest", "price", "product", "row", "size", "stats", "trade_id", "trades",
        "underlying_price", "update_ns",
    )  # fmt: skip

    def __init__(self, product: Product, *, row: int, base: int) -> None:
        self.product, self.native, self.row = product, product.native, row
        self.price = Texts(product.tick)
        """Ticks to text."""
        self.size = Texts(product.lot)
        """Lots to text."""
        self.book_id = base
        """Counts changes of the book."""
        self.trade_id = base
        """Of the last trade."""
        self.update_ns = 0
        """When the book changed last, as told."""
        self.best: tuple[int, int, int, int] = (0, 0, 0, 0)
        """Bid, its size, ask, its size; price 0 = none."""
        self.stats = Stats()
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.liquidations = 0
        self.halted = False
        # derivatives; all but the rate in the same ticks as prices
        self.mark = 0
        self.index_price = 0.0
        """Of what it derives from, in the quote currency."""
        self.underlying_price = 0.0
        """Forward that an option is priced with."""
        self.funding = 0.0
        """Rate of the running period."""
        self.funding_next_ns = 0
        self.open_interest = 0
        """Lots."""
        self.greeks = Greeks()
        self.fixed: dict[str, object] = {}
        """For the voice: what it writes once."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Something a client listens to; equal topics are one stream, written once for all who listen.

    The voice makes topics of a client's words, and reads its own words back from ``channel`` and ``key``.
    """

    kind: Kind
    native: str = ""
    """Of which instrument; empty = of all instruments in ``market``, or of the venue."""
    channel: str = ""
    """The venue's word: ``books``, ``depth@100ms``."""
    key: str = ""
    """Whatever the voice wants to find again: the stream's whole name, the subscription's argument as JSON."""
    market: str = ""
    interval_ms: int = 0
    """Told this often at most; 0 = with every slice in which it changed."""
    depth: int = 0
    """Levels a side of a book; 0 = all."""
    whole: bool = False
    """A book: every message has all levels."""
    forget_pushed: bool = False
    """A book of limited depth: a level that a better one pushes out is not told, the client cuts it off (Kraken)."""
    always: bool = False
    """Of a value: told every interval, also unchanged."""


@dataclass(slots=True)
class BookNews:
    """What a book's stream says next; bids and asks are changes (size 0: gone), best first, or all levels."""

    snapshot: bool
    first: int
    """Id of the first change in it."""
    last: int
    """Id of the last change in it."""
    previous: int
    """``last`` of the message before it on this stream."""
    count: int
    """Messages of this stream so far, with this one."""
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    levels: tuple[Levels, Levels]
    """The book after it, to the topic's depth: for checksums."""
    before: tuple[Levels, Levels] = field(default_factory=lambda: ({}, {}))
    """The same as it was told before: a venue may say which levels are new."""


@dataclass(slots=True, eq=False)
class Stream:
    """A topic that somebody listens to."""

    topic: Topic
    instrument: Instrument | None
    listeners: dict["Client", None] = field(default_factory=dict)
    told: dict[int, tuple[object, ...]] = field(default_factory=dict)
    """Of a value: what was told last, by the instrument's row."""
    # of a book
    levels: tuple[Levels, Levels] = field(default_factory=lambda: ({}, {}))
    """As told last."""
    last: int = 0
    count: int = 0
    exposed: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))
    """Levels that a REST snapshot showed between two messages: the next one tells them whatever they are."""
    begin_again: bool = False
    """The next message is a whole book."""


class Client:
    """One connection; identity is equality."""

    __slots__ = (
        "beaten_ns", "close", "connected_ns", "endpoint", "heard_ns", "memory", "number", "out", "path", "query",
        "sent", "topics", "window_count", "window_ns",
    )  # fmt: skip

    def __init__(self, number: int, *, endpoint: str, path: str, query: dict[str, str], now_ns: int) -> None:
        self.number = number
        self.endpoint = endpoint
        """Which of the voice's ``paths`` it came by."""
        self.path, self.query = path, query
        self.connected_ns = self.heard_ns = self.window_ns = self.beaten_ns = now_ns
        self.window_count = 0
        self.sent = 0
        """Messages written for it so far; a voice's connection counter."""
        self.topics: dict[Topic, None] = {}
        self.memory: dict[str, object] = {}
        """For the voice."""
        self.out: list[bytes] = []
        """To be sent, in order; the shell takes it."""
        self.close: tuple[int, str] | None = None
        """Code and reason: the shell closes it after what is in ``out``."""
