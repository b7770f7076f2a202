"""What a FIX session tells its application, in order."""

from dataclasses import dataclass, field

from tickcast import _native


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """The logon is answered, or both sides have begun anew in mid-session."""

    reset: bool
    """Both sides began at 1: the numbers from before mean nothing any more."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Application messages, each exactly once and in order."""

    run: "_native.FixRun"
    resent: bool
    """Told again in answer to a ResendRequest (PossDupFlag); we have not had it before."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Messages from ``first`` to ``last`` are missing and asked for; nothing later is delivered meanwhile."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages from ``first`` to ``last`` will never come: filled by the peer, or given up."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """No hole is open any more."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer rejects a message of ours (35=3): number, its type where it is told, text."""

    seq: int
    msg_type: str
    text: str


Happening = LoggedOn | Delivered | Hole | Lost | Filled | Rejected


@dataclass(slots=True)
class Turn:
    """Everything that follows from one call."""

    send: list[bytes] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    dead: list[tuple[str, bytes]] = field(default_factory=list)
    """What was not understood, and what broke the rules of the session."""
    drop: str | None = None
    """Close the connection, and why."""
    refused: str | None = None
    """Close it, and do not come back soon."""
    keep: bytes | None = None

    def is_ended(self) -> bool:
        """The connection is to be closed."""
        return self.drop is not None or self.refused is not None
