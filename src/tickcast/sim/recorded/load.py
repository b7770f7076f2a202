"""From a folder to what is played: recordings of others by their names, captures of our own feeds by their headers."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.sim.config import BinanceConfig, Config, FixConfig, SoupItchConfig
from tickcast.sim.recorded.captures import CapturedFeed, find_captures
from tickcast.sim.recorded.files import (
    BINANCE_PREFERRED,
    ITCH_PREFERRED,
    captured_itch,
    check_itch,
    find,
    itch_messages,
)
from tickcast.sim.recorded.fix import FixPlayback
from tickcast.sim.recorded.play import BinancePlayback, ItchPlayback, Player
from tickcast.sim.recorded.tape import TapePlayback

ANYWHERE: Final = "127.0.0.1:0"
_CHECKED: Final = 200_000
"""Messages of an ITCH file that are checked before anything starts."""


def load(config: Config, now_ns: Clock) -> dict[str, Player]:
    """Return what is played, by venue or captured feed.

    Raises:
        UsageError: there is nothing to play, or it cannot be read.
    """
    root = Path(config.recorded.path)
    if not root.exists():
        raise UsageError(f"recorded.path: expected a folder or file, found no {root}; nothing started")
    captured = find_captures(root)
    if captured:
        return {each.feed: _captured(each, config, now_ns) for each in captured}
    players = _recorded(root, config, now_ns)
    if not players:
        wanted = ", ".join(("captures of feeds", *ITCH_PREFERRED, *BINANCE_PREFERRED))
        raise UsageError(f"{root}: expected a recording ({wanted}), found none; nothing started")
    return players


def _recorded(root: Path, config: Config, now_ns: Clock) -> dict[str, Player]:
    players: dict[str, Player] = {}
    for name, venue in config.venues.items():
        if isinstance(venue, SoupItchConfig) and (path := find(root, ITCH_PREFERRED)) is not None:
            check_itch(path, most=_CHECKED)
            players[name] = ItchPlayback(name, venue, config.recorded, partial(itch_messages, path), now_ns=now_ns)
        elif isinstance(venue, BinanceConfig) and (path := find(root, BINANCE_PREFERRED)) is not None:
            players[name] = BinancePlayback(name, venue, config.recorded, [path], now_ns=now_ns)
    return players


def _captured(captured: CapturedFeed, config: Config, now_ns: Clock) -> Player:
    """A server of the dialect where a client may join or come back at any point, else the tape."""
    recorded, settings = config.recorded, captured.settings
    places: Mapping[str, str] = recorded.addresses.get(captured.feed, {})
    address = str(settings.get("address", ""))
    if captured.venue in {"XNAS", "XBOS"} and address:
        venue = SoupItchConfig(address=places.get(address, ANYWHERE))
        messages = partial(captured_itch, captured.files, address)
        return ItchPlayback(captured.feed, venue, recorded, messages, now_ns=now_ns)
    if captured.venue == "XNYS":
        fix = FixConfig(address=places.get(address, ANYWHERE), comp_id=settings.get("target_comp_id") or captured.venue)
        return FixPlayback(captured.feed, fix, recorded, (captured.files, address), now_ns=now_ns)
    if captured.venue == "BINANCE":
        streams, rest = (places.get(settings.get(name, ""), ANYWHERE) for name in ("url", "rest_url"))
        binance = BinanceConfig(address=streams, rest_address=rest)
        return BinancePlayback(captured.feed, binance, recorded, captured.files, now_ns=now_ns)
    return TapePlayback(captured, recorded, places, now_ns=now_ns)
