"""Which venues there are: ours, and those of installed packages.

A package adds venues by the entry point group ``tickcast.venues``: the name is the venue's code, the object a class of
:class:`tickcast.venues.declared.venue.Venue` or a factory of sessions. It is imported when a feed asks for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from tickcast.model.errors import UsageError
from tickcast.venues.base import Session, VenueConfig
from tickcast.venues.bats.session import BatsSession
from tickcast.venues.binance.venue import BinanceVenue
from tickcast.venues.binance_futures.venue import BinanceFuturesVenue
from tickcast.venues.bitfinex.venue import BitfinexVenue
from tickcast.venues.bitget.venue import BitgetVenue
from tickcast.venues.bitmex.venue import BitmexVenue
from tickcast.venues.bitstamp.venue import BitstampVenue
from tickcast.venues.bybit.venue import BybitVenue
from tickcast.venues.coinbase.venue import CoinbaseVenue
from tickcast.venues.crypto_com.venue import CryptoComVenue
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.declared.venue import Venue
from tickcast.venues.deribit.venue import DeribitVenue
from tickcast.venues.gateio.venue import GateioVenue
from tickcast.venues.gemini.venue import GeminiVenue
from tickcast.venues.htx.venue import HtxVenue
from tickcast.venues.kraken.venue import KrakenVenue
from tickcast.venues.kraken_futures.venue import KrakenFuturesVenue
from tickcast.venues.kucoin.venue import KucoinVenue
from tickcast.venues.okx.venue import OkxVenue
from tickcast.venues.poloniex.venue import PoloniexVenue
from tickcast.venues.xnas.transport import open_itch
from tickcast.venues.xnys.session import XnysSession
from tickcast.venues.xsim.session import XsimSession

Factory = Callable[..., Session]

GROUP: Final = "tickcast.venues"
"""Entry points of other packages."""


@dataclass(frozen=True, slots=True)
class DeclaredFactory:
    """Builds the sessions of a declared venue; :attr:`venue` says what there is to know of it."""

    venue: type[Venue]

    def __call__(
        self,
        *,
        feed: str,
        config: VenueConfig,
        securities: Mapping[str, Sequence[str]],
        previous_close: Mapping[str, str],
    ) -> DeclaredSession:
        """Build a session."""
        return DeclaredSession(
            self.venue(config), feed=feed, config=config, securities=securities, previous_close=previous_close
        )


def declared(venue: type[Venue]) -> DeclaredFactory:
    """Register a venue that runs on the declared engine."""
    return DeclaredFactory(venue)


VENUES: Final[Mapping[str, Factory]] = {
    "XNAS": open_itch,
    "XBOS": open_itch,
    "BATS": BatsSession,
    "XNYS": XnysSession,
    "XSIM": XsimSession,
    "BINANCE": declared(BinanceVenue),
    "BINANCE_FUTURES": declared(BinanceFuturesVenue),
    "OKX": declared(OkxVenue),
    "COINBASE": declared(CoinbaseVenue),
    "KRAKEN": declared(KrakenVenue),
    "KRAKEN_FUTURES": declared(KrakenFuturesVenue),
    "BITSTAMP": declared(BitstampVenue),
    "BYBIT": declared(BybitVenue),
    "DERIBIT": declared(DeribitVenue),
    "BITFINEX": declared(BitfinexVenue),
    "GEMINI": declared(GeminiVenue),
    "HTX": declared(HtxVenue),
    "BITGET": declared(BitgetVenue),
    "KUCOIN": declared(KucoinVenue),
    "GATEIO": declared(GateioVenue),
    "BITMEX": declared(BitmexVenue),
    "CRYPTO_COM": declared(CryptoComVenue),
    "POLONIEX": declared(PoloniexVenue),
}
"""Ours, by code."""


def codes() -> list[str]:
    """Return the codes of all venues: ours, then those of installed packages by name."""
    return [*VENUES, *sorted(_foreign().keys() - VENUES.keys())]


def find_factory(code: str) -> Factory:
    """Return what builds the sessions of a venue.

    Raises:
        UsageError: there is none of this code, or the package that has it cannot be used.
    """
    if code in VENUES:
        return VENUES[code]
    point = _foreign().get(code)
    if point is None:
        raise UsageError(f"expected one of {', '.join(codes())}, found {code!r}")
    package = point.dist.name if point.dist is not None else point.value
    try:
        found: object = point.load()
    except Exception as wrong:  # whatever a stranger's import raises
        raise UsageError(f"venue {code} of the package {package} cannot be imported: {wrong!r}") from wrong
    if isinstance(found, type) and issubclass(found, Venue):
        return declared(found)
    if callable(found):
        return found
    raise UsageError(
        f"venue {code} of the package {package}: expected a class of tickcast.venues.declared.venue.Venue or a "
        f"factory of sessions, found {found!r}"
    )


def find_declared(code: str) -> type[Venue] | None:
    """Return the class of a declared venue; None for a venue with a session of its own, and where there is none."""
    try:
        factory = find_factory(code)
    except UsageError:
        return None
    return factory.venue if isinstance(factory, DeclaredFactory) else None


def may_overlap(code: str) -> bool:
    """Whether two processes may read a venue's feed at once: no session is logged in to, no line listened at alone."""
    return code == "XSIM" or find_declared(code) is not None


def open_session(
    feed: str,
    config: VenueConfig,
    securities: Mapping[str, Sequence[str]],
    *,
    previous_close: Mapping[str, str] | None = None,
) -> Session:
    """Build the session of a feed.

    Raises:
        UsageError: there is no such venue, or a setting that it needs is missing.
    """
    try:
        factory = find_factory(config.venue)
    except UsageError as wrong:
        raise UsageError(f"feeds.{feed}.venue: {wrong}") from wrong
    return factory(feed=feed, config=config, securities=securities, previous_close=previous_close or {})


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
