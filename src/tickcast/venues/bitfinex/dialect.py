"""Bitfinex's WebSocket v2, arrays by channel number; evidence in NOTES.md.

Frames are arrays: a number that the event ``subscribed`` bound to a channel and a pair, what it tells, and behind it,
as they were switched on by ``conf``, the number of the connection's message and the time:
``[17470,[[7254.7,3,3.3]],12,1564617601214]``, ``[17470,"cs",-1432,13,1564617601214]``,
``[17471,"te",[382489563,1564617600709,0.007,10087.9],14,1564617600784]``.

Tardis writes channel and pair behind all of that (``...,"book","BTCF0:USTF0"]``): such frames name themselves.
"""

from typing import Final, NamedTuple

from tickcast.model.record import Kind
from tickcast.venues.bitfinex.names import PREFIX, STATUS
from tickcast.venues.declared.dialect import (
    Binding,
    Book,
    BookRule,
    Counter,
    Dialect,
    Key,
    Levels,
    Match,
    Measure,
    Measures,
    Message,
    Place,
    Quotes,
    RestTrades,
    Time,
    Trades,
)

TIMESTAMP: Final = 32_768
SEQ_ALL: Final = 65_536
OB_CHECKSUM: Final = 131_072
FLAGS: Final = TIMESTAMP | SEQ_ALL | OB_CHECKSUM
"""What we switch on by ``conf``."""
WORDS: Final = ("te", "tu", "cs", "fte", "ftu")
"""They stand before what is told, which moves everything by one place."""
TEN: Final = Match(path="1.9", present=True)
"""A ticker has ten values: what has fewer is of another channel, whose number was damaged."""
RULE: Final = BookRule(chain="none", snapshot="stream", checksum="bitfinex", scope="instrument")
SIDES: Final = Levels(mixed="/1", signed=True, price="0", size="2", action="1", deleted=("0",))
"""``[price, count, amount]``: a count of 0 takes the level away."""


class Named(NamedTuple):
    """How frames say which channel and pair they are of."""

    channel: str
    """Path of the channel's word."""
    key: Key
    status: Key
    """Of derivatives in the channel ``status``."""
    pair: tuple[Match, ...]
    """Holds for pairs, and not for currencies that are lent."""
    whole: tuple[Match, ...]
    """Holds for books of full precision."""
    deriv: tuple[Match, ...]
    suffix: str = ""
    """Of the names of messages."""

    def of(self, *words: str) -> Match:
        """Condition that the channel is one of these."""
        return Match(path=self.channel, equals=words)


BOUND: Final = Named(
    channel="@channel",
    key=Key(path="@symbol", strip=PREFIX),
    status=Key(path="@key", strip=STATUS),
    pair=(Match(path="@symbol", prefix=PREFIX),),
    whole=(Match(path="@prec", equals=("P0", "")),),
    deriv=(Match(path="@key", prefix="deriv:"),),
)
WRITTEN: Final = Named(
    channel="-2",
    key=Key(path="/-1"),
    status=Key(path="/-1"),
    pair=(Match(path="1.15", present=False),),  # the ticker of a currency that is lent has more columns
    whole=(),
    deriv=(),
    suffix=" named",
)


def dialect(flags: int = FLAGS) -> Dialect:
    """Declare the whole of it, as ``flags`` have switched numbers and times on."""
    counted = bool(flags & SEQ_ALL) or not flags & TIMESTAMP
    end = 3 if counted else 2
    heartbeat = Message(name="heartbeat", when=(Match(path="1", equals=("hb",)),))
    return Dialect(
        messages=(
            *_books(BOUND, end),
            heartbeat,
            *_others(BOUND, end),
            *UNREAD,
            *_books(WRITTEN, end),
            *_others(WRITTEN, end),
            *UNREAD_NAMED,
            Message(name="unbound", when=(Match(path="0", present=True), Match(path="@channel", present=False))),
        ),
        counter=Counter(path="2", first=1, places=(Place(when=(Match(path="1", equals=WORDS),), path="3"),))
        if counted
        else None,
        rest_trades=RestTrades(
            trades=Trades(
                key=Key(path="0"), id="0", time=Time(path="1", unit="ms"), size="2", signed="buyer", price="3"
            ),
        ),
        binding=Binding(
            when=(Match(path="event", equals=("subscribed",)),),
            number="chanId",
            path="0",
            ends=(Match(path="event", equals=("unsubscribed",)),),
        ),
    )


def _books(named: Named, end: int) -> tuple[Message, ...]:
    """Books: a level, or all of them; and their checksums."""
    when = (named.of("book"), *named.pair, *named.whole)
    return (
        Message(
            name=f"book{named.suffix}",
            when=(*when, Match(path="1.2", present=True)),
            emits=(_book(named, end, snapshot=(Match(path="1.0.0", present=True),)),),
        ),
        Message(
            name=f"checksum{named.suffix}",
            when=(*when, Match(path="1", equals=("cs",))),
            emits=(_book(named, end + 1, Levels(), "2"),),
        ),
    )


def _book(
    named: Named, end: int, levels: Levels = SIDES, checksum: str = "", *, snapshot: tuple[Match, ...] = ()
) -> Book:
    return Book(
        key=named.key,
        levels=levels,
        rule=RULE,
        snapshot=snapshot,
        checksum=checksum,
        time=Time(path=f"/{end}", unit="ms"),
    )


def _others(named: Named, end: int) -> tuple[Message, ...]:
    """Trades, the ticker, the status of derivatives, liquidations; books of less than three levels, or none."""
    time = Time(path=f"/{end}", unit="ms")
    return (
        Message(
            name=f"small book{named.suffix}",
            when=(named.of("book"), *named.pair, *named.whole),
            emits=(_book(named, end, snapshot=(Match(path="/0", present=True),)),),
        ),
        Message(
            name=f"te{named.suffix}",
            when=(named.of("trades"), *named.pair, Match(path="1", equals=("te",))),
            emits=(
                Trades(
                    key=named.key,
                    id="2.0",
                    time=Time(path="2.1", unit="ms"),
                    size="2.2",
                    signed="buyer",
                    price="2.3",
                ),
            ),
        ),
        Message(name=f"tu{named.suffix}", when=(named.of("trades"), *named.pair, Match(path="1", equals=("tu",)))),
        Message(
            name=f"trades{named.suffix}",
            when=(named.of("trades"), *named.pair),
            rows="1",
            newest_first=True,
            emits=(
                Trades(
                    key=named.key,
                    id="0",
                    time=Time(path="1", unit="ms"),
                    size="2",
                    signed="buyer",
                    price="3",
                    history=(Match(path="/0", present=True),),
                ),
            ),
        ),
        Message(
            name=f"ticker{named.suffix}",
            when=(named.of("ticker"), *named.pair, TEN),
            emits=(
                Quotes(key=named.key, bid="1.0", ask="1.2", time=time),
                Measures(
                    key=named.key,
                    values=(
                        Measure(kind=Kind.VOLUME_24H, path="1.7"),
                        Measure(kind=Kind.HIGH_24H, path="1.8"),
                        Measure(kind=Kind.LOW_24H, path="1.9"),
                    ),
                    time=time,
                ),
            ),
        ),
        _derivative(named),
        _liquidations(named),
    )


def _derivative(named: Named) -> Message:
    return Message(
        name=f"status{named.suffix}",
        when=(named.of("status"), *named.deriv),
        emits=(
            Measures(
                key=named.status,
                values=(
                    Measure(kind=Kind.MARK, path="1.14"),
                    Measure(kind=Kind.INDEX, path="1.3"),
                    Measure(kind=Kind.FUNDING, path="1.11"),
                    Measure(kind=Kind.FUNDING_NEXT, path="1.8"),
                    Measure(kind=Kind.FUNDING_TIME, path="1.7", unit="ms"),
                    Measure(kind=Kind.OPEN_INTEREST, path="1.17"),
                ),
                time=Time(path="1.0", unit="ms"),
            ),
        ),
    )


def _liquidations(named: Named) -> Message:
    """``["pos", id, time, null, pair, amount, base price, null, is match, is sold, null, price]``: of the matches."""
    is_feed = named.of("liquidations") if named is WRITTEN else Match(path="@key", equals=("liq:global",))
    return Message(
        name=f"liquidation{named.suffix}",
        when=(is_feed,),
        rows="1",
        emits=(
            Trades(
                key=Key(path="4", strip=PREFIX),
                time=Time(path="2", unit="ms"),
                size="5",
                signed="seller",  # a position above zero was bought: to liquidate it is to sell
                price="11",
                only=(Match(path="8", equals=("1",)), Match(path="11", present=True)),
                liquidation=True,
            ),
        ),
    )


UNREAD: Final = (
    Message(name="lending", when=(Match(path="@symbol", prefix="f"),)),
    Message(name="raw book", when=(Match(path="@prec", prefix="R"),)),
    Message(name="rounded book", when=(Match(path="@prec", prefix="P"),)),
    Message(name="candles", when=(Match(path="@channel", equals=("candles",)),)),
    Message(name="other status", when=(Match(path="@channel", equals=("status",)),)),
)
"""Channels that nobody of us asks for, and others' recordings hold."""
UNREAD_NAMED: Final = (
    Message(name="unread named", when=(Match(path="-2", equals=("raw_book", "ticker", "trades", "candles", "book")),)),
)
