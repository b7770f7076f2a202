"""Requests on links whose answers repeat a number and nothing else: what each of them asked for."""

from collections.abc import Sequence
from typing import Final

from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Happening, Refused

ASKED_MAX: Final = 4096
"""Requests that are remembered; the oldest are forgotten first (answers that a lost link did not bring any more)."""


class Asked:
    """Numbers the requests of a feed, over all its links."""

    def __init__(self) -> None:
        self._number = 0
        self._channels: dict[int, tuple[Channel, ...]] = {}

    def number(self, channels: Sequence[Channel] = ()) -> int:
        """Return the number of a new request; without channels its answer says nothing of them."""
        self._number += 1
        if channels:
            self._channels[self._number] = tuple(channels)
            if len(self._channels) > ASKED_MAX:
                del self._channels[next(iter(self._channels))]
        return self._number

    def confirmed(self, number: int | None) -> Happening:
        """Say what the good answer to a request means."""
        channels = self._channels.pop(number, ()) if number is not None else ()
        return Acknowledged(channels) if channels else Alive()

    def refused(
        self, number: int | None, reason: str, *, named: Sequence[str] = (), meant: Sequence[Channel] = ()
    ) -> Sequence[Happening]:
        """Say what a refusal means.

        Of the ``named`` instruments or the channels that are ``meant`` if the venue names any, otherwise of one of all.
        """
        channels = self._channels.pop(number, ()) if number is not None else ()
        wrong = [channel for channel in channels if channel.native in named or channel in meant]
        if len(channels) == 1:
            return [Refused(reason, channels[0])]
        if len(wrong) in {0, len(channels)}:
            return [Refused(reason, among=channels)]
        rest = tuple(channel for channel in channels if channel not in wrong)
        return [
            *(Refused(reason, channel) for channel in wrong),
            *([Refused(f"asked for together with what was refused: {reason}", among=rest)] if rest else ()),
        ]
