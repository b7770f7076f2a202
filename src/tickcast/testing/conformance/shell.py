"""What the shell of a feed does, without sockets and without waiting: links, requests, timers, on a virtual clock.

It stands in for :mod:`tickcast.feeds.stage`: links that close are opened again after a delay, requests that are refused
are asked again not before Retry-After, dropped links are closed, the session is woken when it asked for it, and what it
tells goes through the real pipeline.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tickcast.model.batch import TickBatch
from tickcast.model.ledger import Incident
from tickcast.normalise.pipeline import Pipeline
from tickcast.sim.crypto.state import Client
from tickcast.sim.crypto.venue import REST, SimVenue
from tickcast.sim.crypto.voice import RestAnswer
from tickcast.sim.engine import VenueEngine
from tickcast.venues.base import Answer, Bookish, Link, Request, Session, Step

MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
STEP_MS: Final = 20
OPEN_AGAIN_NS: Final = SECOND_NS // 2
REFUSED_AGAIN_NS: Final = 5 * SECOND_NS
ASK_AGAIN_NS: Final = SECOND_NS // 2
TRIP_NS: Final = 30 * MILLISECOND_NS
"""A request's way there, and again back."""
DEAD_NS: Final = 15 * SECOND_NS
"""A link that brings nothing for so long is closed (the shell's own probes are not answered either)."""
WAKES_MAX: Final = 100


class ConformanceError(AssertionError):
    """A venue does not do what every venue must do."""


@dataclass(slots=True)
class _Errand:
    request: Request
    due_ns: int
    answer: RestAnswer | None = None
    """The venue's, on its way back."""
    tries: int = 0


@dataclass(slots=True)
class _Line:
    """A link as the shell keeps it."""

    link: Link
    client: Client | None = None
    open_ns: int = 0
    """When it is opened again."""
    heard_ns: int = 0
    opened: int = 0
    is_spent: bool = False
    """Its address was good for one connection: the session has to name it again."""


class Shell:
    """One feed of a simulated venue."""

    def __init__(
        self,
        session: Session,
        venue: SimVenue,
        engine: VenueEngine[SimVenue],
        *,
        start_ns: int,
        on_batch: Callable[[TickBatch], None],
        on_step: Callable[[Step], None],
    ) -> None:
        self.session, self.venue, self.engine = session, venue, engine
        self.pipeline = Pipeline("conformance", venue=venue.voice.code)
        self.now_ns = start_ns
        self.tamper_rest: Callable[[Request, RestAnswer], RestAnswer | None] | None = None
        """For rules: what comes in place of an answer; None = the connection ends without one."""
        self.requests: list[tuple[int, Request, int]] = []
        """When the venue answered, to what, with which status."""
        self.is_mute = False
        """For rules: nothing that the session sends arrives."""
        self.closed: list[tuple[str, str]] = []
        """Links that the venue closed, and why."""
        self.dropped: list[tuple[str, str]] = []
        """Links that the session gave up, and why."""
        self.ended: list[tuple[str, str]] = []
        """Links that the session replaced, and why."""
        self._lines: dict[str, _Line] = {}
        self._errands: list[_Errand] = []
        self._hold_ns = 0
        self._on_batch, self._on_step = on_batch, on_step
        venue.on_cut = self._cut

    def start(self) -> None:
        """Begin."""
        self._carry_out(self.session.start(self.now_ns))

    def watch_books(self, instruments: Collection[int]) -> None:
        """Say whose book somebody watches from now on."""
        if isinstance(self.session, Bookish):
            self._carry_out(self.session.watch_books(instruments, self.now_ns))

    def run(self, ms: int, *, quiet: bool = False, step_ms: int = STEP_MS) -> None:
        """Let time pass; ``quiet``: the venue's clock moves, its market does not."""
        for _ in range(0, ms, step_ms):
            self.now_ns += step_ms * MILLISECOND_NS
            if quiet:
                self.engine.paused = True
                self.engine.advance(self.now_ns)
                self.venue.idle(self.now_ns)
            else:
                self.engine.paused = False
                self.engine.advance(self.now_ns)
            self._turn()

    # ------------------------------------------------------------------ one turn

    def _turn(self) -> None:
        for line in list(self._lines.values()):
            if line.client is None and line.open_ns <= self.now_ns and not line.is_spent:
                self._open(line)
        for client in self.venue.changed_clients():
            self._hand_over(client)
        self._send_requests()
        for line in list(self._lines.values()):
            if line.client is not None and self.now_ns - line.heard_ns >= DEAD_NS:
                self.dropped.append((line.link.name, "dead"))
                self._hang_up(line, "dead")
        self._wake()
        for batch in self.pipeline.settle(self.now_ns):
            self._on_batch(batch)

    def _hand_over(self, client: Client) -> None:
        line = next((one for one in self._lines.values() if one.client is client), None)
        frames = list(self.venue.take(client))
        if line is None:
            return
        if frames:
            line.heard_ns = self.now_ns
            self._carry_out(self.session.received(line.link.name, frames, [self.now_ns] * len(frames)))
        if client.close is not None and line.client is client:
            self.closed.append((line.link.name, client.close[1]))
            self._hang_up(line, client.close[1])

    def _wake(self) -> None:
        for _ in range(WAKES_MAX):
            wanted = self.session.wake_ns
            if not wanted or wanted > self.now_ns:
                return
            self._carry_out(self.session.wake(self.now_ns))
        raise ConformanceError(f"woken {WAKES_MAX} times at the same time: wake_ns does not move on")

    # ------------------------------------------------------------------ links

    def _open(self, line: _Line) -> None:
        parts = urlsplit(line.link.target)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if not self.venue.admits(target):
            line.open_ns = self.now_ns + OPEN_AGAIN_NS
            if line.link.is_once:
                line.is_spent = True
                self._carry_out(self.session.closed(line.link.name, self.now_ns))
            return
        line.client = self.venue.connect(target, self.now_ns)
        line.heard_ns = self.now_ns
        line.opened += 1
        self.pipeline.linked(line.link.name, self.now_ns)
        self._carry_out(self.session.opened(line.link.name, self.now_ns))

    def _hang_up(self, line: _Line, reason: str, *, again_ns: int = OPEN_AGAIN_NS) -> None:
        client, line.client = line.client, None
        line.open_ns = self.now_ns + again_ns
        line.is_spent = line.link.is_once
        if client is not None:
            self.venue.left(client)
            name = line.link.name
            step = self.session.closed(name, self.now_ns)
            if name not in step.end and name in self._lines:
                self.pipeline.unlinked(name, reason, self.now_ns)
            self._carry_out(step)

    def _cut(self, client: Client) -> None:
        for line in list(self._lines.values()):
            if line.client is client:
                self._hang_up(line, "cut")

    @property
    def links(self) -> dict[str, int]:
        """Links and how often each was opened."""
        return {name: line.opened for name, line in self._lines.items()}

    def clients(self, names: Collection[str]) -> set[Client]:
        """For rules: the venue's side of these links."""
        return {client for name in names if (client := self._lines[name].client) is not None}

    def cut(self, names: Collection[str], reason: str = "cut") -> None:
        """For rules: these links are lost."""
        for name in names:
            self._hang_up(self._lines[name], reason)

    # ------------------------------------------------------------------ requests

    def _send_requests(self) -> None:
        for errand in [one for one in self._errands if one.due_ns <= self.now_ns]:
            if errand.answer is not None:
                self._errands.remove(errand)
                self._answered(errand, errand.answer)
            elif self._hold_ns > self.now_ns:
                errand.due_ns = self._hold_ns
            else:
                self._ask(errand)

    def _ask(self, errand: _Errand) -> None:
        gate, request = self.venue.faults, errand.request
        parts = urlsplit(request.url)
        wait_s = gate.throttles(REST)
        if wait_s is not None:
            answer: RestAnswer | None = self.venue.too_many(int(wait_s))
        elif gate.stalled(REST) or gate.fire("drop", REST):
            answer = None
        else:
            url = f"{parts.path}?{parts.query}"
            answer = self.venue.rest(url, self.now_ns, address="us", method=request.method)
        self.requests.append((self.now_ns, request, 0 if answer is None else answer.status))
        if answer is not None and answer.status == 200 and self.tamper_rest is not None:
            answer = self.tamper_rest(request, answer)
        own_word = answer is not None and answer.status == request.throttled_status
        if answer is None or own_word or answer.status in {429, 418} or answer.status >= 500:
            self._refused_for_now(errand, answer)
            return
        errand.answer, errand.due_ns = answer, self.now_ns + TRIP_NS

    def _refused_for_now(self, errand: _Errand, answer: RestAnswer | None) -> None:
        errand.tries += 1
        errand.due_ns = self.now_ns + ASK_AGAIN_NS * min(errand.tries, 4)
        if answer is not None and answer.status in {429, errand.request.throttled_status}:
            wait_s = float(answer.headers.get("Retry-After", errand.request.throttled_s or 1.0))
            self._hold_ns = max(self._hold_ns, self.now_ns + round(wait_s * SECOND_NS))
            incident = Incident(
                kind="throttled", scope="venue", reason=str(answer.status), ts_ns=self.now_ns, until_ns=self._hold_ns
            )
            self._carry_out(Step(incidents=[incident]))

    def _answered(self, errand: _Errand, answer: RestAnswer) -> None:
        got = Answer(status=answer.status, body=answer.body, received_ns=self.now_ns)
        step = self.session.answered(errand.request, got)
        tries = errand.tries if step.repeat else 0
        self._carry_out(step, tries=tries + 1)

    # ------------------------------------------------------------------ carrying out

    def _carry_out(self, step: Step, *, tries: int = 0) -> None:
        self._on_step(step)
        self._publish(step)
        for name, frame in step.send:
            line = self._lines.get(name)
            if line is not None and line.client is not None and not self.is_mute:
                self.venue.receive(line.client, frame, self.now_ns)
        for link in step.links:
            known = self._lines.get(link.name)
            if known is None:
                self._lines[link.name] = _Line(link, open_ns=self.now_ns)
            else:
                known.link, known.is_spent = link, False
        for request in step.requests:
            self._errands.append(_Errand(request, max(request.at_ns, self.now_ns + TRIP_NS)))
        for request in step.repeat:
            self._errands.append(_Errand(request, self.now_ns + ASK_AGAIN_NS * min(tries, 4), tries=tries))
        self._end(step)
        for reasons, again_ns in ((step.refused, REFUSED_AGAIN_NS), (step.drop, OPEN_AGAIN_NS)):
            for name, reason in reasons.items():
                self.dropped.append((name, reason))
                self._hang_up(self._lines[name], reason, again_ns=again_ns)

    def _end(self, step: Step) -> None:
        """Close links for good that another one took the place of."""
        for name, reason in step.end.items():
            self.ended.append((name, reason))
            line = self._lines.pop(name, None)
            if line is not None:
                self._hang_up(line, reason)
                self.pipeline.linked(name, self.now_ns)

    def _publish(self, step: Step) -> None:
        records = b"".join(step.records)
        if not (records or step.definitions or step.new_session or step.incidents):
            return
        for batch in self.pipeline.accept(
            records,
            received_ns=self.now_ns,
            decoded_ns=self.now_ns,
            definitions=step.definitions,
            texts=step.texts,
            new_session=step.new_session,
            incidents=step.incidents,
        ):
            self._on_batch(batch)
