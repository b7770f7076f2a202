"""Settings of the stage ``feeds``: one table ``[feeds.NAME]`` for each feed."""

import csv
import re
from pathlib import Path
from typing import Final

from tickcast.model.errors import UsageError
from tickcast.venues.base import VenueConfig

PRICE: Final = re.compile(r"\d{1,12}(\.\d{1,8})?", re.ASCII)


class FeedConfig(VenueConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feed: what its venue reads (:class:`tickcast.venues.base.VenueConfig`) and how its links are kept."""

    previous_close: str | None = None
    """CSV file with the columns ``symbol,prev_close``: the previous session's closes."""
    quiet_after_s: float = 2.0
    """No message for so long: ``quiet``."""
    stale_after_s: float = 5.0
    """Nothing at all for so long, not even heartbeats: ``stale``."""
    dead_after_s: float = 15.0
    """Nothing at all on a link for so long: it is closed and opened again."""
    connect_timeout_s: float = 10.0
    """Longest time to open a link or to wait for a REST answer."""
    backoff_min_ms: int = 250
    """First delay before a link is opened again or a request repeated; doubles each time."""
    backoff_max_ms: int = 30_000
    """Longest such delay."""
    refused_retry_s: float = 60.0
    """Delay after the venue refused us for good."""
    inbox_max: int = 4_194_304
    """Bytes that may wait for the pipeline; beyond it the links are not read until half of it is done."""
    message_max: int = 33_554_432
    """Largest WebSocket message or REST answer, in bytes; a larger one closes its connection, or is not read on. Each
    connection may need so much memory once."""
    tls_ca: str | None = None
    """PEM file with authorities of your own, whose certificates ``wss://`` and ``https://`` addresses may have beside
    those that the system trusts. Certificates are always verified."""
    udp_buffer: int = 8_388_608
    """Bytes asked of the kernel for what waits to be read of each UDP line. Without the right to exceed it the system
    grants no more than ``net.core.rmem_max``; what a full buffer dropped is in the queue ``feeds.NAME.LINK.socket``."""
    capture: bool = False
    """Write what the feed receives and sends to disk; ``tickcast decode`` and ``tickcast sim --recorded`` read it."""
    capture_folder: str | None = None
    """Where; absent = ``capture/NAME`` in the data folder. Two feeds must not share one."""
    capture_max: int = 10_737_418_240
    """Bytes on disk; beyond it the oldest segments are deleted."""
    capture_segment_max: int = 67_108_864
    """Bytes after which a new segment begins."""


Config = FeedConfig
"""The name under which every stage has its settings."""


def read_previous_close(feed: str, path: str) -> dict[str, str]:
    """Read the reference file of a feed: symbol to price text.

    Raises:
        UsageError: the file is not there, or a line is not ``symbol,prev_close``; names the line.
    """
    key = f"feeds.{feed}.previous_close"
    closes: dict[str, str] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is None or not {"symbol", "prev_close"} <= set(reader.fieldnames):
                raise UsageError(f"{key}: expected the columns symbol,prev_close in {path}, found {reader.fieldnames}")
            for line in reader:
                symbol, close = line["symbol"], line["prev_close"]
                if not symbol or not PRICE.fullmatch(close or ""):
                    raise UsageError(
                        f"{key}: expected a symbol and a price in {path} line {reader.line_num}, "
                        f"found {symbol!r} and {close!r}"
                    )
                closes[symbol] = close
    except OSError as wrong:
        raise UsageError(f"{key}: cannot read {path}: {wrong.strerror}") from wrong
    return closes
