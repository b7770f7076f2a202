"""What a decoding counts besides records, and how it ends."""

from dataclasses import dataclass, field
from typing import Final

NOTES_MAX: Final = 20
EXIT_UNDERSTOOD: Final = 0
EXIT_NOT_UNDERSTOOD: Final = 3


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something was not understood, and why."""

    file: str
    offset: int
    """Bytes from the beginning of the (uncompressed) file."""
    reason: str


@dataclass(slots=True)
class Report:
    """Counts of one decoding over all its files."""

    frames: int = 0
    """Messages of the venue, understood or not, each once; of a packet capture also packets without messages."""
    control: int = 0
    """Of these, such without market data: heartbeats, logins, acknowledgements, requests."""
    verified: int = 0
    """Checksums that were right."""
    failed: int = 0
    """Checksums that were wrong."""
    gaps: int = 0
    """Holes: in the numbers of a line, or of bytes that were not understood."""
    unknown: int = 0
    """Frames of a kind that is not known."""
    dead_letters: int = 0
    """Frames and bytes that were not understood."""
    unpriced: int = 0
    """Executions of orders from before the capture began: trades without a known price."""
    first: Spot | None = None
    """The first dead letter or unknown frame."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know."""

    @property
    def exit_status(self) -> int:
        """0: every byte was understood; 3: not."""
        return EXIT_NOT_UNDERSTOOD if self.dead_letters or self.unknown else EXIT_UNDERSTOOD

    def bury(self, file: str, offset: int, reason: str, *, count: int = 1) -> None:
        """Count dead letters."""
        self.dead_letters += count
        self.remember(file, offset, reason)

    def wonder(self, file: str, offset: int, reason: str, *, count: int = 1) -> None:
        """Count frames of an unknown kind."""
        self.unknown += count
        self.remember(file, offset, reason)

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes and len(self.notes) < NOTES_MAX:
            self.notes.append(text)

    def remember(self, file: str, offset: int, reason: str) -> None:
        """Keep the first of all that was not understood."""
        if self.first is None:
            self.first = Spot(file, offset, reason)
