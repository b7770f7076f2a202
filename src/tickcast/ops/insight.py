"""What the operations side tells over REST: feeds, latency, readiness."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tickcast.ports import Clock


class OperationsInsight:
    """Implements :class:`tickcast.ports.Insight` from callables, so that it knows no stage."""

    def __init__(
        self,
        *,
        feed_rows: Callable[[int], Sequence[Mapping[str, Any]]],
        feeds_live: Callable[[], int],
        instruments: Callable[[], int],
        latency: Callable[[], Mapping[str, Any]],
        failures: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        """``failures`` names what broke inside this process; anything there makes it unready."""
        self._feed_rows = feed_rows
        self._feeds_live = feeds_live
        self._instruments = instruments
        self._latency = latency
        self._failures = failures
        self._clock = clock

    def feeds(self) -> Sequence[Mapping[str, Any]]:
        """Rows of ``/feeds``; times in RFC 3339."""
        rows = []
        for row in self._feed_rows(self._clock()):
            shown = {key: value for key, value in row.items() if not key.endswith("_ns")}
            shown["since"] = rfc3339(row["since_ns"])
            shown["last_message"] = rfc3339(row["last_message_ns"]) if row["last_message_ns"] else None
            rows.append(shown)
        return rows

    def latency(self) -> Mapping[str, Any]:
        """Body of ``/latency``."""
        return self._latency()

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Ready once an instrument is known and a feed is live, and nothing inside is broken."""
        detail = {
            "feeds_live": self._feeds_live(),
            "feeds": len(self._feed_rows(self._clock())),
            "instruments": self._instruments(),
            "failures": list(self._failures()),
        }
        return bool(detail["feeds_live"] and detail["instruments"] and not detail["failures"]), detail


def rfc3339(ts_ns: int) -> str:
    """``2026-03-29T14:30:01.234Z`` of ns since 1970, cut to milliseconds."""
    moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts_ns // 1_000_000 % 1000:03d}Z"
