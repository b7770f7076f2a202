"""Which venues there are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tickcast.model.errors import UsageError
from tickcast.venues.base import Session, VenueConfig
from tickcast.venues.bats.session import BatsSession
from tickcast.venues.binance.session import BinanceSession
from tickcast.venues.xnas.transport import open_itch
from tickcast.venues.xnys.session import XnysSession
from tickcast.venues.xsim.session import XsimSession

Factory = Callable[..., Session]

VENUES: Final[Mapping[str, Factory]] = {
    "XNAS": open_itch,
    "XBOS": open_itch,
    "BATS": BatsSession,
    "XNYS": XnysSession,
    "BINANCE": BinanceSession,
    "XSIM": XsimSession,
}


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
    factory = VENUES.get(config.venue)
    if factory is None:
        raise UsageError(f"feeds.{feed}.venue: expected one of {', '.join(VENUES)}, found {config.venue!r}")
    return factory(feed=feed, config=config, securities=securities, previous_close=previous_close or {})
