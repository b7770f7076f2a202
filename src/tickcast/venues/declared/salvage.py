"""What the ledger is told of missed trades: one entry for all that were missed together."""

from dataclasses import dataclass, field
from typing import Final

from tickcast.model.ledger import Incident, Scope

CHANNEL: Final = "trades"
REASONS_TOLD: Final = 3


@dataclass(slots=True, eq=False)
class Salvage:
    """What the ledger is told together."""

    key: str
    scope: Scope
    began_ns: int
    link: str = ""
    over: str = ""
    """What they were missed over, for people: ``a lost connection``."""
    missing: int = 0
    recovered: int = 0
    from_number: int = 0
    to_number: int = 0
    open: dict[int, int] = field(default_factory=dict)
    """Holes of each instrument that are not settled."""
    concerned: dict[int, None] = field(default_factory=dict)
    """Instruments that missed something, or may have."""
    lost: list[str] = field(default_factory=list)
    """Why holes could not be filled."""
    lost_count: int = 0
    is_unproved: bool = False
    """Some holes are filled only as far as the venue tells."""

    def incident(self, now_ns: int) -> Incident:
        """Make what is to be told now."""
        is_over = not self.open
        return Incident(
            kind="gap",
            scope=self.scope,
            reason=self._reason(is_over=is_over),
            ts_ns=self.began_ns,
            link=self.link,
            channel=CHANNEL,
            instruments=tuple(one for one in self.concerned if is_over or one in self.open),
            until_ns=now_ns if is_over else 0,
            from_seq=self.from_number,
            to_seq=self.to_number,
            repair="backfill" if is_over and not self.lost_count else "",
            key=self.key,
            missing=self.missing,
            recovered=self.recovered,
        )

    def _reason(self, *, is_over: bool) -> str:
        many = self.missing != 1
        text = f"{self.missing} trade{'s were' if many else ' was'} missed" if self.missing else "trades may be missed"
        text += f" over {self.over}" if self.over else ""
        if not is_over:
            return text
        if not self.recovered and not self.lost_count:
            return f"{text}; the venue has none"
        if self.recovered:
            text += f"; {self.recovered} told after all"
            text += ", all as far as the venue tells" if self.is_unproved else ", proved by consecutive numbers"
        if self.lost_count:
            more = self.lost_count - len(self.lost)
            text += "; not repaired: " + "; ".join(self.lost) + (f"; and {more} more" if more else "")
        return text

    def blame(self, instrument: int, reason: str) -> None:
        """A hole could not be filled."""
        self.concerned[instrument] = None
        self.lost_count += 1
        if len(self.lost) < REASONS_TOLD:
            self.lost.append(reason)
