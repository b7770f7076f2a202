"""The gap request server: TCP asks and says yes or no, the messages come on the gap response lines."""

from collections.abc import Callable
from typing import Any, Final

from tickcast.ports import Clock
from tickcast.sim.config import PitchConfig
from tickcast.sim.faults import FaultGate
from tickcast.sim.pitch.packets import GapRequest, PitchError, SpinRequest, UnitSequence, gap_response
from tickcast.sim.pitch.server import PitchClient, PitchServer, too_many

_SECOND: Final = 1_000_000_000


class GapServer(PitchServer):
    """Answers gap requests of all units from their histories."""

    line = "gap"

    def __init__(
        self,
        venue: str,
        config: PitchConfig,
        faults: FaultGate,
        *,
        units: dict[int, UnitSequence],
        resend: Callable[[int, list[bytes]], None],
        now_ns: Clock,
    ) -> None:
        """Prepare; ``resend`` sends packets of a unit on the gap response lines."""
        super().__init__(venue, config, faults, now_ns=now_ns)
        self.statuses: dict[str, int] = {}
        self.messages = 0
        self._units = units
        self._resend = resend

    def answer(self, client: PitchClient, request: GapRequest | SpinRequest) -> None:
        """Say whether the messages can be had, and send them.

        Raises:
            PitchError: a request of the spin server.
        """
        if not isinstance(request, GapRequest):
            raise PitchError("expected a gap request, found a spin request; closing")
        status, packets = self._judge(client, request)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        client.write(gap_response(request, status))
        if packets:
            self.messages += request.count
            self._resend(request.unit, packets)

    def admitted(self, client: PitchClient) -> None:
        """Say nothing: the client asks when it misses something."""

    def _judge(self, client: PitchClient, request: GapRequest) -> tuple[str, list[bytes]]:
        unit = self._units.get(request.unit)
        if exhausted := self._exhausted(client):
            return exhausted, []
        if unit is None:
            return "I", []
        if request.count > self.config.gap_count_max:
            return "C", []
        if all(self.faults.stalled(f"{line}/{request.unit}") for line in "AB"):
            return "U", []
        try:
            return "A", unit.again(request.first, request.count)
        except LookupError:
            return "O", []

    def _exhausted(self, client: PitchClient) -> str:
        """Status of the limit that this request breaks, if any; counts it else."""
        if self.faults.throttles(self.line) is not None:
            return "S"
        config, now = self.config, self.now_ns()
        limits = (
            ("D", 86_400 * _SECOND, config.gap_requests_per_day),
            ("M", 60 * _SECOND, config.gap_requests_per_minute),
            ("S", _SECOND, config.gap_requests_per_s),
        )
        for status, within_ns, most in limits:
            if too_many(client.asked_ns, now, within_ns=within_ns, most=most):
                return status
        client.asked_ns.append(now)
        while len(client.asked_ns) > max(most for _, _, most in limits):
            client.asked_ns.popleft()
        return ""

    def state(self) -> dict[str, Any]:
        """Clients, counters, and requests by status."""
        return {**super().state(), "statuses": dict(self.statuses), "messages": self.messages}
