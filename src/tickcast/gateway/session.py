"""The protocol state of one client: a request in; hub calls and replies out. No I/O and no clock.

Rules that hold everything together:

- A request is checked completely before anything of it is applied; a refusal
  (:class:`~tickcast.gateway.requests.Refused`) applies nothing.
- A reply is handed to the hub after the calls it reports on and before the flush that sends what they cause: the hub
  sends replies in front of the data that follows from them.
- Where the hub's data comes from another process, some requests wait for it; those behind them wait too, in order.
- Requests are paid from a credit of ``requests_per_second``, refilled evenly. Refused requests cost too: who keeps
  sending far below zero is closed.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import UNSET

from tickcast.gateway import messages
from tickcast.gateway.auth.access import Access, Denied
from tickcast.gateway.codecs import JSON, TEXT, Codec
from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.gateway.desk import Desk
from tickcast.gateway.requests import Refused, convert, request_id_of
from tickcast.gateway.timestamps import timestamp
from tickcast.gateway.watching import Watching
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

FLOOD_FACTOR: Final = 5
"""A client whose debt reaches this many seconds' worth of requests is closed."""
QUEUE_MAX: Final = 100
"""Requests of a client that wait while the owner is asked for one of them."""


class Session:
    """One client's requests."""

    __slots__ = (
        "_access",
        "_batch",
        "_client",
        "_codec",
        "_credit",
        "_credited_ns",
        "_desk",
        "_queue",
        "_renew",
        "_strings",
        "_watching",
    )

    def __init__(
        self,
        desk: Desk,
        client: int,
        now_ns: int,
        *,
        access: Access,
        codec: Codec = JSON,
        strings: bool = False,
        batch: bool = False,
        renew: Callable[[str], Access] | None = None,
    ) -> None:
        """``client`` is the hub's number; ``codec``, ``strings`` and ``batch`` come from the handshake.

        ``access`` is what :meth:`tickcast.gateway.auth.admission.Admission.admit` gave; ``renew(token)`` lets the
        client stay on a newer token, or raises :class:`~tickcast.gateway.auth.access.Denied`.
        """
        self._desk = desk
        self._client = client
        self._access = access
        self._renew = renew
        self._watching = Watching(desk, client, codec, access)
        self._queue: deque[bytes] | None = None
        """Requests behind one that waits for the owner."""
        self._credit = float(desk.config.requests_per_second)
        self._credited_ns = now_ns
        self._codec = codec
        self._strings = strings or codec.always_strings
        self._batch = batch
        if strings or batch or codec is not JSON:
            desk.hub.configure(client, codec=codec.number(strings=strings), batch=batch)

    @property
    def opcode(self) -> int:
        """Opcode of the messages of this connection, in both directions."""
        return self._codec.opcode

    def request(self, payload: bytes, now_ns: int) -> CloseCode | None:
        """Serve a message of the codec; what is returned is the reason to close the connection."""
        if not self._pay(now_ns):
            if self._credit < -FLOOD_FACTOR * self._desk.config.requests_per_second:
                return CloseCode.FLOOD
            limit = self._desk.config.requests_per_second
            refused = Refused(ErrorCode.TOO_MANY_REQUESTS, f"too many requests: {limit} a second allowed")
            self._refuse(refused, self._codec.peek_id(payload))
            return None
        if self._queue is None:
            self._begin(payload, now_ns)
        elif len(self._queue) < QUEUE_MAX:
            self._queue.append(payload)
        else:
            refused = Refused(ErrorCode.TOO_MANY_REQUESTS, f"too many requests: {QUEUE_MAX} of yours are waiting")
            self._refuse(refused, self._codec.peek_id(payload))
        return None

    def _begin(self, payload: bytes, now_ns: int) -> None:
        """Read a request and serve it, or wait for the owner."""
        try:
            raw = self._codec.decode(payload)
        except Refused as refused:
            self._refuse(refused, None)
            return

        def begin() -> None:
            request = self._read(raw)
            if self._is_prepared(request):
                self._serve(request, now_ns)

        self._attempt(begin, request_id_of(raw))

    def _attempt(self, serve: Callable[[], None], request_id: messages.RequestId | None) -> None:
        """Serve; what is refused or goes wrong is answered."""
        try:
            serve()
        except Refused as refused:
            self._refuse(refused, request_id)
        except Exception:
            log.exception("request failed", client=self._client)
            self._refuse(Refused(ErrorCode.INTERNAL, "we could not serve this request; try again later"), request_id)

    def _is_prepared(self, request: messages.Request) -> bool:
        """Whether the request can be served now; else it is served when the owner has answered."""
        owner = self._desk.owner
        if owner is None:
            return True
        if isinstance(request, messages.Sync):
            ready = owner.barrier(self._client, lambda done: self._answered(request, done=done))
        else:
            wants, patterns = self._watching.needs(request)
            if not wants and not patterns:
                return True
            ready = owner.prepare(
                self._client, wants, patterns, lambda done: self._answered(request, done=done)
            )  # fmt: skip
            if ready:
                # a pattern that was asked for before is known; what it stands for need not be sent any more
                return self._is_matched(request)
        if not ready:
            self._queue = deque()
        return ready

    def _answered(self, request: messages.Request, *, done: bool) -> None:
        """The owner answered, or did not: go on with the request and with those behind it."""
        waiting = self._queue
        if waiting is None:
            return  # the client is gone
        self._queue = None
        now_ns = self._desk.clock()
        if done:

            def resume() -> None:
                if self._is_matched(request):
                    self._serve(request, now_ns)

            self._attempt(resume, request.id)
        else:
            away = "the process that owns the data does not answer; try again in a moment"
            self._refuse(Refused(ErrorCode.UNAVAILABLE, away), request.id)
        while waiting and self._queue is None:
            self._begin(waiting.popleft(), now_ns)
        if waiting:
            self._queue = waiting
        self._desk.flush(self._client)

    def _is_matched(self, request: messages.Request) -> bool:
        """Whether what a request's patterns stand for is sent by the owner; else it is asked once more."""
        owner = self._desk.owner
        if owner is None or not isinstance(request, messages.Subscribe):
            return True
        _, patterns = self._watching.needs(request)
        wants = [want for pattern in patterns for want in self._watching.wants_of(pattern, request)]
        if not wants or owner.prepare(
            self._client, wants, [], lambda done: self._answered(request, done=done)
        ):  # fmt: skip
            return True
        self._queue = deque()
        return False

    def listed(self, symbols: Sequence[str], now_ns: int) -> None:
        """Symbols are new: those that fall under a pattern of the client join."""
        for reply in self._watching.listed(symbols, now_ns):
            self._reply(reply)

    def note(self, note: messages.Reply) -> None:
        """Tell the client something that it did not ask for."""
        self._reply(note)

    def end(self) -> None:
        """The client is gone: nothing more is served."""
        self._queue = None
        self._watching.end()

    def stray(self, now_ns: int) -> CloseCode | None:
        """Refuse a message of the other opcode than the codec's."""
        if not self._pay(now_ns):
            return self.request(b"", now_ns)
        kinds = ("text", "binary") if self._codec.opcode == TEXT else ("binary", "text")
        self._refuse(
            Refused(
                ErrorCode.WRONG_OPCODE,
                f"expected a {kinds[0]} message of tickcast.{self._codec.name}, found a {kinds[1]} message",
            ),
            None,
        )
        return None

    def ping(self, payload: bytes, now_ns: int) -> None:
        """Answer a protocol ping; pings beyond the rate of requests get no answer."""
        if self._pay(now_ns):
            self._desk.hub.control(self._client, 10, payload)

    def heartbeat(self) -> None:
        """Tell the client that we are here."""
        self._reply(messages.Heartbeat(server_timestamp=timestamp(self._desk.wall())))

    # ------------------------------------------------------------------ replies

    def _reply(self, reply: messages.Reply) -> None:
        self._desk.hub.reply(self._client, self._codec.encode(reply))

    def _refuse(self, refused: Refused, request_id: messages.RequestId | None) -> None:
        self._reply(
            messages.Error(id=request_id, code=int(refused.code), reason=refused.reason, symbols=refused.symbols)
        )

    def _pay(self, now_ns: int) -> bool:
        limit = self._desk.config.requests_per_second
        elapsed_s = max(0, now_ns - self._credited_ns) / 1e9
        self._credit = min(float(limit), self._credit + elapsed_s * limit) - 1.0
        self._credited_ns = now_ns
        return self._credit >= 0 and self._desk.pay(self._access)

    # ------------------------------------------------------------------ requests

    def _read(self, raw: dict[str, Any]) -> messages.Request:
        action = raw.get("action")
        wanted = messages.REQUESTS.get(action) if isinstance(action, str) else None
        if wanted is None:
            found = repr(action)[:60] if "action" in raw else "none"
            raise Refused(
                ErrorCode.UNKNOWN_ACTION, f"action: expected one of {', '.join(messages.REQUESTS)}; found {found}"
            )
        return convert(raw, wanted)

    def _serve(self, request: messages.Request, now_ns: int) -> None:
        for reply in self._replies(request, now_ns):
            self._reply(reply)

    def _replies(self, request: messages.Request, now_ns: int) -> list[messages.Reply]:
        watching = self._watching
        match request:
            case messages.Subscribe():
                replies = watching.subscribe(request, now_ns)
                self._configure(request)
            case messages.Reconnect():
                replies = watching.reconnect(request, now_ns)
                self._configure(request)
            case messages.Unsubscribe():
                replies = watching.unsubscribe(request)
            case messages.Set():
                watching.check(request)
                self._configure(request)
                numbers: messages.Numbers = "string" if self._strings else "number"
                replies = watching.set(request, now_ns, numbers=numbers, batch=self._batch)
            case messages.Visibility():
                self._desk.hub.set_hidden(self._client, request.hidden)
                replies = [messages.Visible(id=request.id, hidden=request.hidden)]
            case messages.Sync():
                replies = watching.sync(request, now_ns)
            case messages.Auth():
                replies = [self._prove(request)]
            case _:
                replies = [messages.Pong(id=request.id, server_timestamp=timestamp(self._desk.wall()))]
        return replies

    def greet(self, request_id: messages.RequestId | None) -> None:
        """Answer the first message of a client that showed its token there."""
        self._reply(authenticated(self._access, request_id, delay_s=self._desk.delay_s))

    def _prove(self, request: messages.Auth) -> messages.Reply:
        """Stay on a newer token."""
        try:
            if self._renew is None:
                raise Denied("this connection came without a token, and goes on so")
            self._access = self._renew(request.token)
        except Denied as denied:
            raise Refused(ErrorCode.NOT_ENTITLED, denied.reason) from None
        return authenticated(self._access, request.id, delay_s=self._desk.delay_s)

    def _configure(self, request: messages.Channelled) -> None:
        strings = self._strings if request.numbers is UNSET else request.numbers == "string"
        strings |= self._codec.always_strings
        batch = self._batch if request.batch is UNSET else request.batch
        if (strings, batch) != (self._strings, self._batch):
            self._strings, self._batch = strings, batch
            self._desk.hub.configure(self._client, codec=self._codec.number(strings=strings), batch=batch)


def authenticated(access: Access, request_id: messages.RequestId | None, *, delay_s: float) -> messages.Authenticated:
    """Say who a client is taken for, and what it may see."""
    scope = access.scope
    return messages.Authenticated(
        id=request_id,
        subject=access.subject.partition(":")[2],
        until=timestamp(access.until_ns) if access.until_ns else UNSET,
        symbols=list(scope.symbols),
        channels=list(scope.channels),
        depth=scope.depth,
        rate=scope.rate,
        delay_s=delay_s,
    )
