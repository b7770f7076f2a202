"""Which transport an ITCH feed uses: its config says so."""

from collections.abc import Mapping, Sequence

from tickcast.model.errors import UsageError
from tickcast.venues.base import VenueConfig
from tickcast.venues.xnas.mold_session import MoldSession
from tickcast.venues.xnas.session import XnasSession


def open_itch(
    *,
    feed: str,
    config: VenueConfig,
    securities: Mapping[str, Sequence[str]],
    previous_close: Mapping[str, str],
) -> XnasSession | MoldSession:
    """Build the session: SoupBinTCP for ``address``, MoldUDP64 for ``lines``.

    Raises:
        UsageError: neither or both are given, or a setting belongs to something else.
    """
    for key in ("gap_address", "gap_lines", "spin_address"):
        if getattr(config, key):
            raise UsageError(
                f"feeds.{feed}.{key}: expected nothing for venue {config.venue}, since it belongs to PITCH"
            )
    if config.address is not None and config.lines:
        raise UsageError(
            f"feeds.{feed}: expected either address (SoupBinTCP) or lines (MoldUDP64) for venue {config.venue}, "
            "found both"
        )
    if config.lines:
        return MoldSession(feed=feed, config=config, securities=securities, previous_close=previous_close)
    if config.address is None:
        raise UsageError(
            f"feeds.{feed}: expected address (SoupBinTCP, host:port) or lines (MoldUDP64, a list of host:port) "
            f"for venue {config.venue}, found neither"
        )
    for key in ("rerequest", "interface"):
        if getattr(config, key):
            raise UsageError(
                f"feeds.{feed}.{key}: expected nothing beside address, since it belongs to lines (MoldUDP64)"
            )
    return XnasSession(feed=feed, config=config, securities=securities, previous_close=previous_close)
