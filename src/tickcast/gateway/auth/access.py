"""Who a client is and what it may see: decided once, when it comes. Pure.

A scope names symbols by patterns. ``*`` is everything; else ``*`` stands for any text without a colon, at most once on
each side of the colon: ``XNAS:*`` is all of a venue, ``BINANCE:*-USDT`` a part of it, ``*:BTC-USDT`` one instrument of
every venue, ``AAPL`` the security over its venues and nothing of its venues, ``A*`` securities. Whether a name exists
plays no part in it, so an answer that follows from the scope alone tells nothing about what there is.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

Channel = Literal["price", "trades", "book", "bars", "status"]
CHANNELS: Final[tuple[Channel, ...]] = ("price", "trades", "book", "bars", "status")
DEPTH_MAX: Final = 50
PATTERN_MAX: Final = 96
"""Characters of a pattern."""
PATTERNS_MAX: Final = 1_000
"""Patterns of one scope."""
SUBJECT_MAX: Final = 200
NOT_ENTITLED: Final = "not_entitled"
"""State of everything outside the scope, whether it exists or not."""


class Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody may do, as a token or a key says it. What is not known is refused: a typo must not widen it."""

    symbols: tuple[str, ...] = ()
    """Patterns; none = nothing."""
    channels: tuple[Channel, ...] = CHANNELS
    depth: Literal[5, 10, 50] = 50
    """Most levels of each side of a book."""
    rate: Literal[0, 1, 2, 5, 10, 20] = 0
    """Most updates a second of each symbol; 0 = no limit."""
    connections: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most streams of the user at one time; 0 = the gateway's limit."""
    delayed: bool = False
    """Everything late, by the time that the gateway is set to."""
    admin: bool = False
    """May change a running instance over REST."""

    def __post_init__(self) -> None:
        """Refuse patterns that mean nothing.

        Raises:
            ValueError: names the pattern, and what is expected.
        """
        if len(self.symbols) > PATTERNS_MAX:
            raise ValueError(f"symbols: expected at most {PATTERNS_MAX} patterns, found {len(self.symbols)}")
        for pattern in self.symbols:
            sides = pattern.split(":")
            if (
                not 0 < len(pattern) <= PATTERN_MAX
                or not pattern.isprintable()
                or len(sides) > 2
                or any(not side or side.count("*") > 1 for side in sides)
            ):
                raise ValueError(
                    "symbols: expected patterns such as *, AAPL, XNAS:* or BINANCE:*-USDT, with one * at most on each "
                    f"side of the colon, found {pattern[:PATTERN_MAX]!r}"
                )


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A client that was let in. It does not change while the connection lasts; it may end before it."""

    subject: str = ""
    """Whom the limits of a user are counted for: ``jwt:`` or ``key:`` and the name; empty = anonymous."""
    credential: str = ""
    """What it rests on, ``jwt:KID`` or ``key:ID``: once that is withdrawn, so is the access."""
    scope: Scope = Scope()
    until_ns: int = 0
    """End, ns since 1970 UTC by the wall clock; 0 = none."""
    since_ns: int = 0
    """Begin, likewise."""

    # ------------------------------------------------------------------ what may be asked

    def may_see(self, symbol: str) -> bool:
        """Whether a symbol is in the scope; says nothing of whether it exists."""
        return _matcher(self.scope.symbols).has(symbol)

    def may_use(self, channel: str) -> bool:
        """Whether a channel is in the scope."""
        return channel in self.scope.channels

    def may_touch(self, venue: str) -> bool:
        """Whether some name of a venue may be in the scope."""
        return _matcher(self.scope.symbols).touches(venue)

    def sees_all_of(self, pattern: str) -> bool:
        """Whether everything that a pattern of a request (``XNAS:*``, ``class:option``) stands for is in the scope."""
        return _matcher(self.scope.symbols).covers(pattern)

    def may_ask(self, pattern: str) -> bool:
        """Whether a pattern of a request may stand for anything in the scope."""
        return pattern.startswith("class:") or self.may_touch(pattern.partition(":")[0])

    def may_know(self, venue: str, instruments: Sequence[str] = (), count: int = 0) -> bool:
        """Whether news of a venue's feed may be told, which may concern some of its instruments.

        ``count`` is of all that are concerned, ``instruments`` names them or a part of them. Where some may be outside
        of the scope the whole is not told: a text in it may name them.
        """
        if not self.may_use("status") or not self.may_touch(venue):
            return False
        if not count or self.sees_all_of(f"{venue}:*"):
            return True
        return count == len(instruments) and all(self.may_see(name) for name in instruments)

    def seen(self, symbols: Iterable[str]) -> list[str]:
        """Those in the scope, in their order."""
        has = _matcher(self.scope.symbols).has
        return [symbol for symbol in symbols if has(symbol)]

    def rate(self, asked: int) -> int:
        """Rate class in force for one asked for; 0 = unfiltered, which a limit turns into itself."""
        allowed = self.scope.rate
        return asked if not allowed else min(asked or allowed, allowed)

    def depth(self, asked: int) -> int:
        """Depth in force for one asked for."""
        return min(asked, self.scope.depth)

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is outside the scope, as figures about everything need it."""
        scope = self.scope
        return scope.admin or ("*" in scope.symbols and len(set(scope.channels)) == len(CHANNELS))

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody knows who it is."""
        return not self.subject

    def is_over(self, wall_ns: int) -> bool:
        """Whether its time is over."""
        return 0 < self.until_ns <= wall_ns

    def has_begun(self, wall_ns: int) -> bool:
        """Whether its time has come."""
        return self.since_ns <= wall_ns


ANYONE: Final = Access(scope=Scope(symbols=("*",)))
"""Who comes without a name where that is allowed: sees everything, changes nothing."""


class Denied(Exception):  # noqa: N818  an outcome, not a failure of ours
    """A client that is not let in. The text may be shown to it: it holds nothing of what it sent."""

    def __init__(self, reason: str, *, status: int = 401, is_missing: bool = False, retry_s: float = 0.0) -> None:
        """``status``: of HTTP; ``is_missing``: it showed nothing, so that it may still do so in its first message."""
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.is_missing = is_missing
        self.retry_s = retry_s

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a HTTP answer."""
        if self.status == 401:
            return {"www-authenticate": 'Bearer realm="tickcast"'}
        return {"retry-after": str(max(1, round(self.retry_s)))} if self.status == 429 else {}


# ------------------------------------------------------------------ patterns

Side = tuple[str, str | None]
"""What a text begins with and what it ends with; None: it is the whole text."""


class _Matcher:
    """The patterns of a scope, so that a name is looked up in a set and compared with few."""

    __slots__ = ("_everything", "_exact", "_globs", "_venues")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._everything = "*" in patterns
        self._exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        whole = {pattern[:-2] for pattern in patterns if pattern.endswith(":*")}
        self._venues = frozenset(venue for venue in whole if "*" not in venue)
        self._globs: list[tuple[Side | None, Side]] = []
        for pattern in patterns:
            venue, colon, name = pattern.rpartition(":")
            if "*" not in pattern or pattern == "*" or (colon and venue in self._venues and name == "*"):
                continue
            self._globs.append((_side(venue) if colon else None, _side(name)))

    def has(self, symbol: str) -> bool:
        if self._everything or symbol in self._exact:
            return True
        venue, colon, name = symbol.partition(":")
        if not colon:
            return any(of is None and _fits(side, symbol) for of, side in self._globs)
        return venue in self._venues or any(
            of is not None and _fits(of, venue) and _fits(side, name) for of, side in self._globs
        )

    def touches(self, venue: str) -> bool:
        if self._everything or venue in self._venues:
            return True
        return any(name.startswith(f"{venue}:") for name in self._exact) or any(
            of is not None and _fits(of, venue) for of, _ in self._globs
        )

    def covers(self, pattern: str) -> bool:
        venue, colon, name = pattern.partition(":")
        if self._everything or not colon or name != "*":
            return self._everything
        return venue in self._venues or any(
            of is not None and _fits(of, venue) and side == ("", "") for of, side in self._globs
        )


@functools.lru_cache(maxsize=1024)
def _matcher(patterns: tuple[str, ...]) -> _Matcher:
    return _Matcher(patterns)


def _side(text: str) -> Side:
    begin, star, end = text.partition("*")
    return begin, end if star else None


def _fits(side: Side, text: str) -> bool:
    begin, end = side
    if end is None:
        return text == begin
    return len(text) >= len(begin) + len(end) and text.startswith(begin) and text.endswith(end) and ":" not in text


def scope_of(raw: Any) -> Scope:
    """Return the scope that a claim or a file holds.

    Raises:
        ValueError: it is none; says what was expected.
    """
    try:
        return msgspec.convert(raw, Scope)
    except msgspec.ValidationError as wrong:
        raise ValueError(str(wrong)) from None
