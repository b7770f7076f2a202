"""What all sessions of a gateway share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tickcast.gateway.auth.access import Access
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.config import Config
from tickcast.gateway.requests import Refused
from tickcast.gateway.status import StatusBoard
from tickcast.ports import Clock, Directory, Fanout, Owner

if TYPE_CHECKING:
    from tickcast.gateway.watching import Watching


class NoDirectory:
    """Knows no pattern."""

    def match(self, pattern: str, limit: int) -> Sequence[str]:
        """Nothing."""
        del pattern, limit
        return ()

    def matches(self, pattern: str, symbol: str) -> bool:
        """Never."""
        del pattern, symbol
        return False

    def on_listed(self, listed: Callable[[Sequence[str]], None]) -> None:
        """Nothing is ever listed."""
        del listed


class Desk:
    """The hub, the config, and who knows what a session does not."""

    __slots__ = (
        "clock",
        "config",
        "delay_s",
        "directory",
        "field_bits",
        "field_names",
        "flush",
        "hub",
        "owner",
        "pattern_watchers",
        "pay",
        "status",
        "wall",
    )

    def __init__(
        self,
        hub: Fanout,
        config: Config,
        field_names: tuple[str, ...],
        *,
        clock: Clock,
        wall: Clock | None = None,
        flush: Callable[[int], None],
        status: StatusBoard,
        directory: Directory | None = None,
        owner: Owner | None = None,
        pay: Callable[[Access], bool] = lambda _access: True,
        delay_s: float = 0.0,
    ) -> None:
        """``field_names``: of ``price``, in the order of the bits of the core's field mask.

        ``wall`` is what clocks on the wall show, where that may differ from ``clock``, which is never set.
        ``pay(access)`` spends a request of a user; ``delay_s`` is how late all data of the hub is.
        ``flush(client)`` sends a client what waits for it, after an answer of the ``owner`` that came on its own time.
        """
        self.hub = hub
        self.config = config
        self.clock = clock
        self.pay = pay
        self.delay_s = delay_s
        self.wall = wall or clock
        self.flush = flush
        self.directory: Directory = directory or NoDirectory()
        self.owner = owner
        self.status = status
        self.field_names = field_names
        self.field_bits = {name: 1 << place for place, name in enumerate(field_names)}
        self.pattern_watchers: dict[int, Watching] = {}
        """Clients that watch patterns."""

    def mask(self, fields: list[str] | None) -> int:
        """Mask of field names; 0 = all.

        Raises:
            Refused: one is unknown, or there is none.
        """
        if fields is None:
            return 0
        unknown = [name for name in fields if name not in self.field_bits]
        if unknown or not fields:
            found = f"found {unknown[0][:40]!r}" if unknown else "found none"
            raise Refused(
                ErrorCode.UNKNOWN_FIELD, f"fields: expected some of {', '.join(self.field_names)}, or null; {found}"
            )
        mask = 0
        for name in fields:
            mask |= self.field_bits[name]
        return mask

    def names(self, mask: int) -> list[str] | None:
        """Field names of a mask, in wire order; None = all, none of them by name."""
        return [name for name in self.field_names if mask & self.field_bits[name]] or None
