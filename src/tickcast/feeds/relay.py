"""How a feed's process takes over from another one of the same feed, and hands over to the next: who is asked when.

::

    standing by ──everything is whole──▶ ready ──asked──▶ live ──asked──▶ handing over ──▶ gone
                                                     (the process before is gone)

The supervisor asks, by a signal: SIGUSR1 to a process that stands by means that the one before it is gone, to one that
is live that the next one is ready.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from tickcast.feeds.standby import HandoverFile, StandbyPublisher


class Relay:
    """Of one process."""

    def __init__(
        self,
        file: Path,
        *,
        settled: Callable[[], Awaitable[bool]],
        ready: Callable[[], None],
        standby: StandbyPublisher | None = None,
    ) -> None:
        """Prepare.

        Args:
            file: where a process that ends leaves what it told.
            settled: waits until everything that was told is taken in; False: it is not, within the time for it.
            ready: called once, when a process that stands by is whole.
            standby: of a process that stands by; None: it is live from the beginning.
        """
        self.file = HandoverFile(file)
        self.standby = standby
        self.settled = settled
        self.hands_over = False
        """Asked to hand over."""
        self._ready = ready
        self._is_ready = standby is None
        self._is_asked = False
        self._changed: Callable[[], None] = lambda: None

    @property
    def is_waiting(self) -> bool:
        """Whether it stands by and is not whole yet."""
        return not self._is_ready

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever it is asked for something."""
        self._changed = changed

    def ready(self) -> None:
        """Everything is whole."""
        self._is_ready = True
        self._ready()

    def asked(self) -> None:
        """The supervisor asks for the next step."""
        if self.standby is not None and not self._is_asked:
            self._is_asked = True
        else:
            self.hands_over = True
        self._changed()

    def takes_over_now(self) -> bool:
        """Whether it is to go live; true once."""
        return self._is_asked and self.standby is not None and not self.standby.is_live
