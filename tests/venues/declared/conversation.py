"""A session of a declared venue and its simulated venue, on one virtual clock, without sockets."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.sim.crypto.rig import MILLISECOND_NS, Rig
from tests.venues.decoding import Row, rows

from tickcast.model.ledger import Incident
from tickcast.model.record import Kind, State
from tickcast.sim.crypto.state import Client
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import find_declared

REOPEN_NS = 100 * MILLISECOND_NS


class Conversation:
    """Plays the shell: links, requests and the clock."""

    def __init__(self, word: str, *, rig: dict[str, Any] | None = None, **settings: Any) -> None:
        self.rig = Rig(word, **(rig or {}))
        code = word.upper()
        found = find_declared(code)
        assert found is not None
        config = VenueConfig(venue=code, url="ws://venue", rest_url="http://venue", **settings)
        self.session = DeclaredSession(found(config), feed="f", config=config, securities={}, previous_close={})
        self.rig.venue.on_cut = self._cut
        self.links: dict[str, str] = {}
        self.once: set[str] = set()
        """Links whose address is good for one connection."""
        self.clients: dict[str, Client] = {}
        self.sent: Counter[str] = Counter()
        self.asked: list[Request] = []
        self.told: list[Row] = []
        self.incidents: list[Incident] = []
        self.dead: list[tuple[str, bytes]] = []
        self.dropped: list[tuple[str, str]] = []
        self.lose: Callable[[bytes], bool] = lambda _: False
        """Which frames of the venue never arrive."""
        self.on_sent: Callable[[bytes], None] = lambda _: None
        self.read_every_ms = 0
        """Above 0: the venue reads what it is sent only so often, all at once."""
        self._unread: list[tuple[str, Client, bytes]] = []
        self._reopen: dict[str, int] = {}
        self._requests: list[tuple[int, Request]] = []
        self._carry_out(self.session.start(self.now_ns))

    @property
    def now_ns(self) -> int:
        return self.rig.now_ns

    def run(self, ms: int, *, quiet: bool = False) -> None:
        """Let time pass."""
        for _ in range(0, ms, 10):
            self._read()
            self.rig.run(10, quiet=quiet)
            self._deliver()
            self._reopen_links()
            self._answer()
            if self.session.wake_ns and self.session.wake_ns <= self.now_ns:
                self._carry_out(self.session.wake(self.now_ns))

    def states(self) -> dict[str, State]:
        """State of each instrument that was told last."""
        last = {row.instrument: State(row.detail) for row in self.told if row.kind == Kind.STATUS}
        return {one.definition.symbol: last[one.id] for one in self.session.instruments}

    def cut(self, link: str) -> None:
        """Cut a link."""
        client = self.clients[link]
        self.rig.venue.left(client)
        self._cut(client)

    def book_of(self, symbol: str, depth: int = 5) -> Any:
        """Return the best levels of a book, as numbers."""
        one = next(each for each in self.session.instruments if each.definition.symbol == symbol)
        return [[(float(p), float(q)) for p, q in side] for side in self.session.core.book(one.id, depth)]

    def truth_of(self, symbol: str, depth: int = 5) -> Any:
        """Return the same of the simulated venue."""
        one = next(each for each in self.session.instruments if each.definition.symbol == symbol)
        same = [each for each in self.rig.venue.voice.instruments if each.native == one.listed.native]
        instrument = next((each for each in same if each.product.market == one.listed.market), same[0])
        truth = self.rig.venue.truth(instrument, depth)
        return [[(float(p), float(q)) for p, q, *_ in truth[side]] for side in ("bids", "asks")]

    # ------------------------------------------------------------------ the shell

    def _cut(self, client: Client) -> None:
        for link, known in list(self.clients.items()):
            if known is client:
                del self.clients[link]
                if link not in self.once:
                    self._reopen[link] = self.now_ns + REOPEN_NS
                self._carry_out(self.session.closed(link, self.now_ns))

    def _read(self) -> None:
        if self.read_every_ms and self.now_ns // MILLISECOND_NS % self.read_every_ms < 10:
            unread, self._unread = self._unread, []
            for link, client, frame in unread:
                if self.clients.get(link) is client:
                    self.rig.say(client, frame)

    def _deliver(self) -> None:
        for link, client in list(self.clients.items()):
            frames, self.rig.got[client] = self.rig.got[client], []
            frames = [frame for frame in frames if not self.lose(frame)]
            if frames and self.clients.get(link) is client:
                self._carry_out(self.session.received(link, frames, [self.now_ns] * len(frames)))
        for link, client in list(self.clients.items()):
            if client.close is not None:
                self.cut(link)

    def _reopen_links(self) -> None:
        for link, at_ns in list(self._reopen.items()):
            if at_ns <= self.now_ns:
                del self._reopen[link]
                self.clients[link] = self.rig.connect(self.links[link].removeprefix("ws://venue"))
                self._carry_out(self.session.opened(link, self.now_ns))

    def _answer(self) -> None:
        due = [request for at_ns, request in self._requests if at_ns <= self.now_ns]
        self._requests = [each for each in self._requests if each[0] > self.now_ns]
        for request in due:
            parts = urlsplit(request.url)
            url = f"{parts.path}?{parts.query}"
            found = self.rig.venue.rest(url, self.now_ns, address="test", method=request.method)
            if found.status in {418, 429} or found.status >= 500:
                self._requests.append((self.now_ns + 1000 * MILLISECOND_NS, request))
                continue
            answer = Answer(status=found.status, body=found.body, received_ns=self.now_ns)
            self._carry_out(self.session.answered(request, answer))

    def _carry_out(self, step: Step) -> None:
        self.told += rows(step.records)
        self.incidents += step.incidents
        self.dead += step.dead
        for link, frame in step.send:
            self.sent[link] += 1
            self.on_sent(frame)
            if link in self.clients and self.read_every_ms:
                self._unread.append((link, self.clients[link], frame))
            elif link in self.clients:
                self.rig.say(self.clients[link], frame)
        for new in step.links:
            self.links[new.name] = new.target
            self.once |= {new.name} if new.is_once else set()
            self._reopen[new.name] = self.now_ns
        self.asked += step.requests
        self._requests += [
            (max(request.at_ns, self.now_ns + 20 * MILLISECOND_NS), request) for request in step.requests
        ]
        self._requests += [(self.now_ns + 200 * MILLISECOND_NS, request) for request in step.repeat]
        for link, reason in {**step.drop, **step.refused}.items():
            self.dropped.append((link, reason))
            if link in self.clients:
                self.cut(link)
