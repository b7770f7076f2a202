"""WebSocket client connector on picows: the messages of one read are handed on together, with one time.

picows was chosen over ``websockets`` for its cost per frame (see ``bench/websocket.py``), and because it says which
frame is the last of a read.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import picows

from tickcast.feeds.backoff import retry_after_s
from tickcast.feeds.tls import trouble_of
from tickcast.model.errors import FeedError
from tickcast.ports import Clock

DATA = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)
FRAGMENTS_MAX: Final = 65_536
"""Of one message."""
BODY_SHOWN: Final = 120
"""Characters of a refusal's body that go into its reason."""


class HandshakeError(FeedError):
    """The venue's server answered, but with no WebSocket."""

    def __init__(self, text: str, *, status: int, retry_after_s: float) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s
        """So long the venue wants to be left alone; 0 = it does not say."""


class WebSocketConnection(picows.WSListener):
    """One open connection; made by :func:`open_websocket`."""

    def __init__(
        self,
        *,
        on_open: Callable[["WebSocketConnection"], None],
        on_messages: Callable[[list[bytes], int], None],
        clock: Clock,
        message_max: int,
    ) -> None:
        super().__init__()
        self._on_open = on_open
        self._on_messages = on_messages
        self._clock = clock
        self._transport: picows.WSTransport | None = None
        self._messages: list[bytes] = []
        self._fragments: list[bytes] = []
        self._fragments_size = 0
        self._message_max = message_max
        self._paused = False
        self._broken = False
        """The venue broke the protocol: nothing that follows is looked at."""
        self._reason = ""
        self._close_code = picows.WSCloseCode.OK
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone: the reason."""
        self.heard_ns = clock()
        """Time of the last read, control frames included."""

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport
        self._on_open(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Collect; hand on with the last frame of the read."""
        if self._broken:
            return
        kind = frame.msg_type
        if kind in DATA and frame.fin and not is_extended(frame) and not self._fragments:
            self._messages.append(frame.get_payload_as_bytes())
        elif kind in DATA or kind == picows.WSMsgType.CONTINUATION:
            self._take_fragment(frame)
        elif kind == picows.WSMsgType.CLOSE:
            self._close_code = frame.get_close_code()
            text = (frame.get_close_message() or b"").decode("utf-8", "replace")
            self._reason = f"the venue closed the connection: {self._close_code:d} {text}".rstrip()
        if frame.last_in_buffer:
            self.heard_ns = self._clock()
            if self._messages:
                messages, self._messages = self._messages, []
                self._on_messages(messages, self.heard_ns)
        if kind == picows.WSMsgType.CLOSE:
            transport.send_close(self._close_code)
            transport.disconnect()

    def _take_fragment(self, frame: picows.WSFrame) -> None:
        """Put a message of several frames together; what breaks the protocol or the bound ends the link.

        RFC 6455 section 5.4: a message begins with a data frame, all others of it are continuations; section 5.2: RSV1
        is set by an extension that was negotiated, and we negotiate none.
        """
        begins = frame.msg_type != picows.WSMsgType.CONTINUATION
        if is_extended(frame):
            self._give_up("expected a plain frame, found one with reserved bits (compressed?), which was not agreed on")
        elif begins == bool(self._fragments):
            found = "the beginning of another message" if begins else "one without a beginning"
            self._give_up(f"expected the next fragment of a message, found {found}")
        elif self._fragments_size + frame.payload_size > self._message_max:
            self._give_up(f"expected at most {self._message_max} bytes in a message, found fragments of more")
        elif len(self._fragments) >= FRAGMENTS_MAX:
            self._give_up(f"expected at most {FRAGMENTS_MAX} fragments of a message, found more")
        else:
            self._fragments.append(frame.get_payload_as_bytes())
            self._fragments_size += frame.payload_size
            if frame.fin:
                self._messages.append(b"".join(self._fragments))
                self._fragments.clear()
                self._fragments_size = 0

    def _give_up(self, reason: str) -> None:
        """Close; what came before is handed on."""
        self._broken = True
        self._fragments.clear()
        self._reason = reason
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Say why; hand on what is left."""
        self._transport = None
        self._fragments.clear()
        if not self.closed.done():  # otherwise the feed knows already that it is over
            if self._messages:
                messages, self._messages = self._messages, []
                self._on_messages(messages, self._clock())
            self.closed.set_result(self._reason or _end(transport))

    def send(self, data: bytes) -> None:
        """Send a text message; what cannot be sent any more is dropped, the link is gone then."""
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, data)

    def probe(self) -> None:
        """Ping, so that a quiet venue is told from a dead link."""
        if self._transport is not None:
            self._transport.send_ping()

    def pause(self) -> None:
        """Read no more: TCP pushes back."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.underlying_transport.resume_reading()

    def abort(self, reason: str) -> None:
        """Close at once."""
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


def is_extended(frame: picows.WSFrame) -> bool:
    """Whether a frame has bits of an extension; we agree to none."""
    return bool(frame.rsv1 or frame.rsv2 or frame.rsv3)


def _end(transport: picows.WSTransport) -> str:
    """Say how a connection ended whose peer sent no close frame: by us, because what came is no WebSocket, or by it."""
    handshake = transport.close_handshake
    if handshake is not None and handshake.sent is not None and handshake.sent.reason:
        return f"what came is no WebSocket: {handshake.sent.reason}"
    return "connection lost without a close frame"


async def open_websocket(
    url: str,
    *,
    on_open: Callable[[WebSocketConnection], None],
    on_messages: Callable[[list[bytes], int], None],
    clock: Clock,
    timeout_s: float,
    message_max: int,
    tls: ssl.SSLContext | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> WebSocketConnection:
    """Connect and shake hands, with ``headers``; ``on_open`` is called before the first ``on_messages``.

    The certificate of a ``wss://`` address is verified: by ``tls``, or the system's authorities. Redirects are not
    followed, since they may lead anywhere.

    Raises:
        HandshakeError: the answer is no WebSocket handshake.
        FeedError: nobody listens there, it took too long, or its certificate is not to be trusted.
    """
    shown = url.partition("?")[0]
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await picows.ws_connect(
                lambda: WebSocketConnection(
                    on_open=on_open, on_messages=on_messages, clock=clock, message_max=message_max
                ),
                url,
                ssl_context=tls,
                extra_headers=headers or None,
                max_redirects=0,
                websocket_handshake_timeout=timeout_s,
                max_frame_size=message_max,
                enable_auto_pong=True,
                read_buffer_init_size=262_144,
                logger_name=logging.getLogger("tickcast.feeds.websocket"),
            )
    except TimeoutError as wrong:
        raise FeedError(f"cannot connect to {shown}: no answer within {timeout_s:g} s") from wrong
    except OSError as wrong:
        raise FeedError(f"cannot connect to {shown}: {trouble_of(wrong)}") from wrong
    except picows.WSHandshakeError as wrong:
        raise _refusal(shown, wrong, clock()) from wrong
    except (picows.WSError, ValueError) as wrong:  # a ValueError: a status or a name that is none
        raise FeedError(f"cannot connect to {shown}: {wrong}") from wrong
    if not isinstance(connection, WebSocketConnection):  # picows calls a handshake complete that nobody answered
        raise FeedError(f"cannot connect to {shown}: expected a WebSocket handshake, found the end of the connection")
    return connection


def _refusal(shown: str, wrong: picows.WSHandshakeError, now_ns: int) -> FeedError:
    """Make the error of an answer that is no handshake, with the beginning of what it says."""
    answer = wrong.response
    if answer is None:
        return FeedError(f"cannot connect to {shown}: expected a WebSocket handshake, found {wrong}")
    status = int(answer.status)
    body = " ".join((wrong.raw_body or b"")[: 4 * BODY_SHOWN].decode("utf-8", "replace").split())[:BODY_SHOWN]
    found = f"status {status}" if status != 101 else str(wrong)
    if 300 <= status < 400:
        found += " (a redirect, which is not followed)"
    return HandshakeError(
        f"cannot connect to {shown}: expected a WebSocket handshake, found {found}" + (f": {body}" if body else ""),
        status=status,
        retry_after_s=retry_after_s(answer.headers.get("Retry-After"), now_ns=now_ns),
    )
