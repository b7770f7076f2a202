"""Frames of the hub as Socket.IO packets, and events of clients as requests. Pure.

A packet of Socket.IO v4 (protocol revision 5) that carries an event is ``2["name",argument]``; Engine.IO (revision 4)
puts ``4`` in front and sends it as one message. The hub's JSON goes into it as it is, without being parsed, so that
every digit of the venue survives: the name of the event is the frame's ``type``, which is always its first key.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from tickcast.gateway import messages
from tickcast.gateway.codecs import JsonCodec
from tickcast.gateway.requests import known_id

ACTIONS: Final = {"reconnect_stream": "reconnect"}
"""Events whose name is not that of the request: ``reconnect`` is an event of the clients' own."""
EVENTS: Final = {"error": "error_message"}
"""Frames whose event has another name: some clients treat an event ``error`` as their own."""
_TYPE_AT: Final = len('{"type":"')
_TEXT: Final = 0x81
"""First byte of a whole text message (RFC 6455 section 5.2)."""

Answer = Callable[[dict[str, Any]], None]


def payloads(data: bytes) -> Iterator[str]:
    """Texts of a server's WebSocket messages, as the hub frames them; control frames are left out."""
    place, end = 0, len(data)
    while place < end:
        first, length, start = data[place], data[place + 1], place + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length == 127:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        place = start + length
        if first == _TEXT:
            yield data[start:place].decode()


def event_of(frame: str) -> str:
    """Return the event's packet, without the ``4`` of Engine.IO."""
    kind = frame[_TYPE_AT : frame.index('"', _TYPE_AT)]
    return f'2["{EVENTS.get(kind, kind)}",{frame}]'


class Head(msgspec.Struct):
    """What says where a frame belongs and where it stands."""

    type: str
    symbol: str = ""
    channel: str = "price"
    interval: str = ""
    seq: int = -1
    epoch: int = 0


_head: Final = msgspec.json.Decoder(Head)


def head_of(frame: str) -> Head:
    """Read the keys of a frame that say where it belongs."""
    return _head.decode(frame)


class _Asked:
    __slots__ = ("answer", "id", "number")

    def __init__(self, number: int, request_id: messages.RequestId | None, answer: Answer) -> None:
        self.number = number
        self.id = request_id
        self.answer: Answer | None = answer


ASKED_MAX: Final = 256
"""Requests of a client whose answers are awaited; more than a session lets wait."""


class EventCodec(JsonCodec):
    """The codec of one client: JSON whose requests are numbered, so that each reply finds its acknowledgement.

    The client's own ``id`` is put back into the reply.
    """

    def __init__(self) -> None:
        self._asked: dict[int, _Asked] = {}
        self._last: _Asked | None = None
        self._loose: Answer | None = None
        """Awaits the refusal of what was no request, and so has no number."""
        self._number = 0

    def refuse(self, body: Any, answer: Answer) -> bytes:
        """Make what the session refuses, of an argument that is no object of JSON; ``answer`` gets the refusal."""
        self._loose = answer
        try:
            return b"null" if isinstance(body, dict) else msgspec.json.encode(body)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return b"null"

    def ask(self, event: str, body: dict[str, Any], answer: Answer) -> bytes:
        """Make the request of an event; ``answer`` is called with its reply, before that goes to the client.

        Raises:
            ValueError, TypeError, OverflowError, RecursionError: the argument holds what no JSON of ours can.
        """
        asked = _Asked(self._number + 1, known_id(body.get("id")), answer)
        # every event is a message of its own
        rest = {key: value for key, value in body.items() if key != "batch"}
        request = msgspec.json.encode(rest | {"action": ACTIONS.get(event, event), "id": asked.number})
        self._number = asked.number
        self._asked[asked.number] = asked
        while len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        return request

    def encode(self, reply: messages.Reply) -> bytes:
        """See :class:`~tickcast.gateway.codecs.Codec`."""
        if isinstance(reply.id, int):
            asked = self._asked.pop(reply.id, None)
            if asked is not None:
                self._last = asked
            elif self._last is not None and self._last.number == reply.id:
                asked = self._last  # a subscription that resumes is answered twice
            if asked is not None:
                reply = msgspec.structs.replace(reply, id=asked.id)
                answer, asked.answer = asked.answer, None
                if answer is not None:
                    answer(msgspec.to_builtins(reply))
        elif self._loose is not None and isinstance(reply, messages.Error):
            answer, self._loose = self._loose, None
            answer(msgspec.to_builtins(reply))
        return msgspec.json.encode(reply)
