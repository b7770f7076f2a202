"""The spin server: images of a unit's books for those who come late or have lost too much.

Once a second, while anybody is logged in, it keeps an image of all books and says for each unit which sequence number
the image reflects. A spin request names one of these numbers; its unit is that of the packet's header, since one
address serves all units. The answer holds trading statuses and every order as it stood, as messages without numbers.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.sim.config import PitchConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.pitch.packets import (
    GapRequest,
    PitchError,
    SpinRequest,
    spin_available,
    spin_finished,
    spin_response,
    unsequenced,
)
from tickcast.sim.pitch.server import PitchClient, PitchServer, too_many
from tickcast.sim.pitch.venue import Image, PitchVenue

IMAGE_EVERY_S: Final = 1.0
IMAGES_MAX: Final = 5
"""Images kept: a spin may be asked for so many seconds after it was announced."""


class SpinServer(PitchServer):
    """Makes images and sends them."""

    line = "spin"

    def __init__(
        self,
        venue: str,
        config: PitchConfig,
        faults: FaultGate,
        *,
        market: PitchVenue,
        image: Callable[[], Image],
        now_ns: Clock,
    ) -> None:
        """Prepare; ``image`` makes an image of what stands now."""
        super().__init__(venue, config, faults, now_ns=now_ns)
        self.statuses: dict[str, int] = {}
        self.images: deque[Image] = deque(maxlen=IMAGES_MAX)
        self._market = market
        self._image = image

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the address."""
        address = await super().start(host, port)
        self._tasks.spawn(self._announce(), "announce")
        return address

    def admitted(self, client: PitchClient) -> None:
        """Announce an image at once, so that nobody waits for the next second."""
        self.images.append(self._image())
        self._tell(client, self.images[-1])

    def answer(self, client: PitchClient, request: GapRequest | SpinRequest) -> None:
        """Send an image, or say why not.

        Raises:
            PitchError: a request of the gap server.
        """
        if not isinstance(request, SpinRequest):
            raise PitchError("expected a spin request, found a gap request; closing")
        image = self._find(request)
        if client.waiting or self.faults.throttles(self.line) is not None or self._limited(client):
            status = "S"
        else:
            status = "A" if image is not None else "O"
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if image is None or status != "A":
            client.write(spin_response(request.unit, request.sequence, 0, status))
            return
        blocks, orders = self._market.spin(image, request.unit)
        packets = [packet for block in blocks for packet in unsequenced(block, self.config.packet_bytes_max)]
        client.write(spin_response(request.unit, request.sequence, orders, status))
        client.write_long([*packets, spin_finished(request.unit, request.sequence)])

    def _find(self, request: SpinRequest) -> Image | None:
        if not 1 <= request.unit <= self._market.units:
            return None
        fitting = (image for image in self.images if image.sequences[request.unit] == request.sequence)
        return next(fitting, None)

    def _limited(self, client: PitchClient) -> bool:
        now, most = self.now_ns(), self.config.spins_per_minute
        if too_many(client.asked_ns, now, within_ns=60_000_000_000, most=most):
            return True
        client.asked_ns.append(now)
        while len(client.asked_ns) > most:
            client.asked_ns.popleft()
        return False

    def _tell(self, client: PitchClient, image: Image) -> None:
        for unit in range(1, self._market.units + 1):
            client.write(spin_available(unit, image.sequences[unit]))

    async def _announce(self) -> None:
        while True:
            await asyncio.sleep(IMAGE_EVERY_S)
            waiting = [client for client in self.clients if client.session is not None]
            if not waiting:
                self.images.clear()
                continue
            if self.faults.stalled(self.line):
                continue
            self.images.append(self._image())
            for client in waiting:
                self._tell(client, self.images[-1])

    def state(self) -> dict[str, Any]:
        """Clients, counters, and requests by status."""
        return {**super().state(), "statuses": dict(self.statuses), "images": len(self.images)}
