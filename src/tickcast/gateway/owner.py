"""The worker's side of the link to the process that owns the state.

Questions of sessions (:class:`tickcast.ports.Owner`) go to the owner with a token and are answered in the order of the
stream: when an answer is read, the worker's hub stands exactly where it says, so ``then`` is called before anything
behind it is read. A question that the link's end leaves open is put again to the next link, until its time is over.
"""

import asyncio
import itertools
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from tickcast import _native
from tickcast.ports import Clock, Want
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger
from tickcast.runtime.tasks import TaskGroupOwner

log = get_logger("gateway")

ANSWER_S: Final = 5.0
"""Time in which the owner answers, or the request is refused."""
SWEEP_S: Final = 0.25
IDLE_S: Final = 2.0
"""Interest is withdrawn after its last client left and so much time passed: who comes and goes does not thrash."""
BACKOFF_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses between attempts to link; the last one repeats."""
LASTING_NS: Final = 1_000_000_000
"""A link that lives longer works."""
PATTERNS_MAX: Final = 1_000
"""Patterns whose symbols are remembered; the oldest is forgotten."""
WAITING_MAX: Final = 100_000
"""Requests that wait for the owner; more are refused at once."""
SYMBOLS_MAX: Final = 1_000
"""Symbols of a pattern, by default."""
UNSENT_MAX: Final = 64 * 1024 * 1024
"""Bytes that the owner does not read before the link is cut."""
GONE: Final = "the process that owns the data is gone; it is being started again"

_waits: Final = metrics.gauge("gateway_owner_waiting", "Requests that wait for the owner.")
_late: Final = metrics.counter("gateway_owner_late", "Requests that the owner did not answer in time, so far.")
_relinked: Final = metrics.counter("gateway_owner_links", "Links to the owner that were made, so far.")
_interests: Final = metrics.gauge("gateway_interests", "Channels of symbols in a rate class that the owner sends.")


class MirrorHub(Protocol):
    """The worker's hub as its link sees it; ``tickcast._native.WorkerHub`` is one."""

    def linked(self, name: str, pid: int, now_ns: int) -> None: ...
    def unlinked(self, reason: str, now_ns: int) -> None: ...
    def feed(self, data: bytes, now_ns: int) -> tuple[str, int, list[str]] | None: ...
    def outbox(self) -> bytes: ...
    def prepare(self, client: int, wants: Sequence[tuple[int, str, int, int, int, int, int, int]]) -> int: ...
    def barrier(self, client: int) -> int: ...
    def ask_match(self, pattern: str, limit: int) -> int: ...
    def settle(self, token: int) -> None: ...
    def sweep(self, now_ns: int, idle_ns: int) -> None: ...
    def interests(self) -> int: ...


class _Question:
    """What a session waits for."""

    __slots__ = ("answered", "ask", "late_ns", "patterns", "then", "tokens")

    def __init__(
        self, ask: Callable[[], int], patterns: Sequence[str], then: Callable[[bool], None], late_ns: int
    ) -> None:
        self.ask = ask
        """Asks the hub; returns the token, 0 if nothing is needed."""
        self.patterns = list(patterns)
        self.then = then
        self.late_ns = late_ns
        self.tokens: set[int] = set()
        self.answered: list[int] = []


class OwnerLink(asyncio.Protocol):
    """One connection; everything that outlives it is in :class:`OwnerClient`."""

    def __init__(self, client: "OwnerClient") -> None:
        self._client = client
        self.transport: asyncio.Transport | None = None
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self.gone.done():
            self._client.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if not self.gone.done():
            self.gone.set_result(str(exc or "closed"))

    def abort(self, reason: str) -> None:
        """Cut the link."""
        if not self.gone.done():
            self.gone.set_result(reason)
        if self.transport is not None:
            self.transport.abort()


class OwnerClient:
    """Keeps the link; answers sessions (a :class:`tickcast.ports.Owner`) and resolves patterns (a ``Directory``)."""

    def __init__(
        self,
        hub: MirrorHub,
        path: Path,
        *,
        name: str,
        clock: Clock,
        wake: Callable[[], None],
        notes: Callable[[Sequence[str], bool], None],
        lost: Callable[[str], None] = lambda _reason: None,
        symbols_max: int = SYMBOLS_MAX,
        answer_s: float = ANSWER_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Prepare; :meth:`start` links.

        Args:
            hub: the worker's.
            path: the owner's socket.
            name: the worker's, for logs.
            clock: now, ns since 1970 UTC.
            wake: asks the fan-out stage for a flush.
            notes: gets messages of channel ``status``, each as JSON, and whether what was told before is void.
            lost: called with the reason when the link is gone: what ``notes`` told is not known any more.
            symbols_max: symbols that a client may watch: more of a pattern are not asked for.
            answer_s: time in which the owner answers.
            idle_s: how long interest outlives its last client.
        """
        self._hub = hub
        self._path = path
        self._name = name
        self._clock = clock
        self._wake = wake
        self._notes = notes
        self._lost = lost
        self._symbols_max = symbols_max
        self._answer_ns = int(answer_s * 1e9)
        self._idle_ns = int(idle_s * 1e9)
        self._link: OwnerLink | None = None
        self._is_sending = False
        self._questions: dict[_Question, None] = {}
        self._by_token: dict[int, _Question] = {}
        self._matching: dict[int, str] = {}
        """Patterns by the token of their question."""
        self._patterns: dict[str, dict[str, None]] = {}
        """Symbols of the patterns that were asked for."""
        self._listeners: list[Callable[[Sequence[str]], None]] = []
        self._tasks = TaskGroupOwner("owner")
        _waits.set_function(lambda: len(self._questions))
        _interests.set_function(hub.interests)
        self._refused = 0
        metrics.watch_queue(
            "gateway.owner_questions",
            bound=WAITING_MAX,
            depth=lambda: len(self._questions),
            drops=lambda: self._refused,
        )
        metrics.watch_queue("gateway.owner_unsent", bound=UNSENT_MAX, depth=self._unsent, drops=lambda: math.nan)

    def _unsent(self) -> int:
        """Bytes that wait for the owner to read; what they are too many for is cut, and asked for anew."""
        link = self._link
        return 0 if link is None or link.transport is None else link.transport.get_write_buffer_size()

    @property
    def is_linked(self) -> bool:
        """Whether the owner is there."""
        return self._link is not None

    async def start(self) -> None:
        """Link, and stay linked; returns at once."""
        self._tasks.spawn(self._stay_linked(), "link")
        self._tasks.spawn(self._sweep(), "sweep")

    async def stop(self) -> None:
        """Let go of the link; open questions are refused."""
        await self._tasks.stop()
        if self._link is not None:
            self._link.abort("stopped")
            self._link = None
        for question in list(self._questions):
            self._finish(question, done=False)

    # ------------------------------------------------------------------ the link

    async def _stay_linked(self) -> None:
        loop = asyncio.get_running_loop()
        attempts = 0
        while True:
            try:
                _, link = await loop.create_unix_connection(lambda: OwnerLink(self), str(self._path))
            except OSError:
                await asyncio.sleep(BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)])
                attempts += 1
                continue
            linked_ns = self._clock()
            self._linked(link)
            reason = await link.gone
            self._unlinked(reason)
            # a link that is closed at once is no reason to hurry
            attempts = 0 if self._clock() - linked_ns > LASTING_NS else attempts + 1
            await asyncio.sleep(BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)])

    def _linked(self, link: OwnerLink) -> None:
        self._link = link
        _relinked.inc()
        self._hub.linked(self._name, os.getpid(), self._clock())
        for pattern in self._patterns:
            self._matching[self._hub.ask_match(pattern, self._symbols_max)] = pattern
        for question in list(self._questions):
            self._put(question)
        self._send_soon()
        log.info("linked to the owner", questions=len(self._questions))

    def _unlinked(self, reason: str) -> None:
        self._link = None
        self._by_token.clear()
        self._matching.clear()
        for question in self._questions:
            question.tokens.clear()
            question.answered.clear()
        log.error("link to the owner lost; everything is stale until it is back", reason=reason)
        self._hub.unlinked(GONE, self._clock())
        self._lost(GONE)
        self._wake()

    def received(self, link: OwnerLink, data: bytes) -> None:
        """Take in what the owner sent."""
        now_ns = self._clock()
        try:
            told = self._hub.feed(data, now_ns)
            while told is not None:
                self._take(link, *told)
                told = self._hub.feed(b"", now_ns)
        except _native.LinkBroken as wrong:
            link.abort(str(wrong))
            return
        self._wake()
        self._send_soon()

    def _take(self, link: OwnerLink, kind: str, number: int, texts: list[str]) -> None:
        match kind:
            case "done":
                self._answered(number)
            case "matched":
                self._matched(number, texts)
            case "listed":
                pattern, *symbols = texts
                self._patterns.setdefault(pattern, {}).update(dict.fromkeys(symbols))
                for tell in self._listeners:
                    tell(symbols)
                self._hub.sweep(self._clock(), self._idle_ns)
            case "note":
                self._notes(texts, bool(number))
            case "refused":
                link.abort(f"the owner refused: {texts[0]}")
            case _:  # welcome
                pass

    def _send_soon(self) -> None:
        """One write for all that is asked in this turn of the loop."""
        if not self._is_sending:
            self._is_sending = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_sending = False
        link = self._link
        if link is None or link.transport is None:
            return
        if data := self._hub.outbox():
            link.transport.write(data)
            if link.transport.get_write_buffer_size() > UNSENT_MAX:
                link.abort("the owner does not read")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_ns = self._clock()
            for question in [asked for asked in self._questions if asked.late_ns <= now_ns]:
                _late.inc()
                self._finish(question, done=False)
            if self._link is not None:
                self._hub.sweep(now_ns, self._idle_ns)
                self._send_soon()

    # ------------------------------------------------------------------ questions of sessions

    def prepare(
        self, client: int, wants: Sequence[Want], patterns: Sequence[str], then: Callable[[bool], None]
    ) -> bool:
        """See :meth:`tickcast.ports.Owner.prepare`."""
        asked = list(wants)
        unknown = [pattern for pattern in dict.fromkeys(patterns) if pattern not in self._patterns]
        return self._begin(
            lambda: self._hub.prepare(client, asked) if asked else 0,
            unknown,
            then,
        )

    def barrier(self, client: int, then: Callable[[bool], None]) -> bool:
        """See :meth:`tickcast.ports.Owner.barrier`."""
        return self._begin(lambda: self._hub.barrier(client), (), then)

    def _begin(self, ask: Callable[[], int], patterns: Sequence[str], then: Callable[[bool], None]) -> bool:
        question = _Question(ask, patterns, then, self._clock() + self._answer_ns)
        if len(self._questions) >= WAITING_MAX:
            self._refused += 1
            asyncio.get_running_loop().call_soon(then, False)  # noqa: FBT003  the port's signature
            return False
        if self._link is not None:
            self._put(question)
            if not question.tokens:
                return True
        self._questions[question] = None
        self._send_soon()
        return False

    def _put(self, question: _Question) -> None:
        """Ask what a question comes to now."""
        if token := question.ask():
            question.tokens.add(token)
            self._by_token[token] = question
        for pattern in question.patterns:
            token = self._hub.ask_match(pattern, self._symbols_max)
            self._matching[token] = pattern
            question.tokens.add(token)
            self._by_token[token] = question
        if not question.tokens and question in self._questions:
            self._finish(question, done=True)

    def _answered(self, token: int) -> None:
        question = self._by_token.pop(token, None)
        if question is None:
            self._hub.settle(token)
            return
        question.tokens.discard(token)
        question.answered.append(token)
        if not question.tokens:
            self._finish(question, done=True)

    def _finish(self, question: _Question, *, done: bool) -> None:
        self._questions.pop(question, None)
        for token in question.tokens:
            self._by_token.pop(token, None)
        question.then(done)
        for token in (*question.tokens, *question.answered):
            self._hub.settle(token)
        question.tokens.clear()

    # ------------------------------------------------------------------ the directory

    def _matched(self, token: int, symbols: list[str]) -> None:
        pattern = self._matching.pop(token, None)
        if pattern is not None:
            before = self._patterns.pop(pattern, None)
            self._patterns[pattern] = dict.fromkeys(symbols)
            while len(self._patterns) > PATTERNS_MAX:
                self._patterns.pop(next(iter(self._patterns)))
            if before is not None and (new := [symbol for symbol in symbols if symbol not in before]):
                for tell in self._listeners:
                    tell(new)
        self._answered(token)

    def match(self, pattern: str, limit: int) -> Sequence[str]:
        """See :meth:`tickcast.ports.Directory.match`."""
        return list(itertools.islice(self._patterns.get(pattern, ()), limit + 1))

    def on_listed(self, listed: Callable[[Sequence[str]], None]) -> None:
        """See :meth:`tickcast.ports.Directory.on_listed`."""
        self._listeners.append(listed)

    def matches(self, pattern: str, symbol: str) -> bool:
        """See :meth:`tickcast.ports.Directory.matches`."""
        return symbol in self._patterns.get(pattern, ())
