"""How the messages of one connection are written: requests in, replies out. Pure.

The handshake picks a codec; data is written by the core, which knows the codec by its :attr:`Codec.number`. What is
here is what is read from one client and written to one client alone.
"""

from typing import Any, Final, Protocol

import msgspec
from google.protobuf.message import DecodeError
from msgspec import UNSET, UnsetType

from tickcast.gateway import messages
from tickcast.gateway.codes import ErrorCode
from tickcast.gateway.requests import Refused, known_id
from tickcast.proto import tickcast_pb2 as wire
from tickcast.proto.plain import fill, plain

TEXT: Final = 1
"""Opcodes of RFC 6455 section 5.2."""
BINARY: Final = 2


class Codec(Protocol):
    """One way to write messages."""

    @property
    def name(self) -> str:
        """The subprotocol, without the family's ``tickcast.``."""

    @property
    def opcode(self) -> int:
        """Of the messages in both directions."""

    @property
    def always_strings(self) -> bool:
        """Whether prices are never numbers of the format."""

    @property
    def tells_handles(self) -> bool:
        """Whether data names symbols by handles, which acks must tell."""

    @property
    def layout(self) -> "messages.Layout | UnsetType":
        """What the ack says of messages without keys."""

    def number(self, *, strings: bool) -> int:
        """Return the core's number; ``strings``: prices are strings, where there is a choice."""

    def decode(self, payload: bytes) -> dict[str, Any]:
        """Return a request as the object it is in JSON.

        Raises:
            Refused: it is none.
        """

    def peek_id(self, payload: bytes) -> messages.RequestId | None:
        """Return the ``id`` of a request that is not served, if that costs little."""

    def encode(self, reply: messages.Reply) -> bytes:
        """Return a reply."""


class _Identified(msgspec.Struct):
    """The one key of a request that a refusal without reading needs."""

    id: Any = None


class JsonCodec:
    """``tickcast.json``."""

    name: Final = "json"
    always_strings: Final = False
    tells_handles: Final = False
    layout: Final = UNSET
    opcode: Final = TEXT
    _identified: Final = msgspec.json.Decoder(_Identified)

    def number(self, *, strings: bool) -> int:
        """See :class:`Codec`."""
        return 1 if strings else 0

    def decode(self, payload: bytes) -> dict[str, Any]:
        """See :class:`Codec`."""
        try:
            raw = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
            raise Refused(ErrorCode.BROKEN_MESSAGE, f"expected a JSON object, found no JSON: {broken}") from None
        return _object(raw, "JSON object")

    def peek_id(self, payload: bytes) -> messages.RequestId | None:
        """See :class:`Codec`.

        Everything else in the text is skipped without being made into objects. The text is bounded by ``frame_max``,
        and how often this is called by the debt at which a flood is closed.
        """
        try:
            return known_id(self._identified.decode(payload).id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def encode(self, reply: messages.Reply) -> bytes:
        """See :class:`Codec`."""
        return msgspec.json.encode(reply)


class MsgpackCodec:
    """``tickcast.msgpack``: maps with the keys of JSON; with ``compact`` updates are positional arrays."""

    name: Final = "msgpack"
    always_strings: Final = True
    opcode: Final = BINARY
    _identified: Final = msgspec.msgpack.Decoder(_Identified)

    def __init__(self, *, compact: bool = False) -> None:
        self.tells_handles = compact
        self.layout: messages.Layout | UnsetType = messages.Layout() if compact else UNSET

    def number(self, *, strings: bool) -> int:
        """See :class:`Codec`."""
        del strings
        return 3 if self.tells_handles else 2

    def decode(self, payload: bytes) -> dict[str, Any]:
        """See :class:`Codec`."""
        try:
            raw = msgspec.msgpack.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as broken:
            raise Refused(
                ErrorCode.BROKEN_MESSAGE, f"expected a MessagePack map, found no MessagePack: {broken}"
            ) from None
        return _object(raw, "MessagePack map")

    def peek_id(self, payload: bytes) -> messages.RequestId | None:
        """See :class:`Codec`."""
        try:
            return known_id(self._identified.decode(payload).id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
            return None

    def encode(self, reply: messages.Reply) -> bytes:
        """See :class:`Codec`."""
        return msgspec.msgpack.encode(reply)


class ProtoCodec:
    """``tickcast.proto``: ``ClientFrame`` in, ``ServerFrame`` out, see ``proto/tickcast.proto``."""

    name: Final = "proto"
    opcode: Final = BINARY
    always_strings: Final = True
    tells_handles: Final = True
    layout: Final = UNSET

    def number(self, *, strings: bool) -> int:
        """See :class:`Codec`."""
        del strings
        return 4

    def decode(self, payload: bytes) -> dict[str, Any]:
        """See :class:`Codec`."""
        try:
            frame = wire.ClientFrame.FromString(payload)
        except DecodeError as broken:
            raise Refused(ErrorCode.BROKEN_MESSAGE, f"expected a ClientFrame, found none: {broken}") from None
        raw = plain(frame)
        action = frame.WhichOneof("request")
        if action is None:
            return raw
        request: dict[str, Any] = raw.pop(action)
        if action in {"subscribe", "unsubscribe"}:
            request.setdefault("symbols", [])
        return request | raw | {"action": action}

    def peek_id(self, payload: bytes) -> messages.RequestId | None:
        """See :class:`Codec`."""
        try:
            return known_id(plain(wire.ClientFrame.FromString(payload)).get("id"))
        except DecodeError:
            return None

    def encode(self, reply: messages.Reply) -> bytes:
        """See :class:`Codec`."""
        values = msgspec.to_builtins(reply)
        frame = wire.ServerFrame()
        kind = values.pop("type")
        # `snapshot` is that of prices.
        kind = "status_snapshot" if isinstance(reply, messages.StatusSnapshot) else kind
        entry = getattr(frame.messages.add(), kind)
        entry.SetInParent()
        fill(entry, values)
        return frame.SerializeToString()


JSON: Final = JsonCodec()
MSGPACK: Final = MsgpackCodec()
COMPACT: Final = MsgpackCodec(compact=True)
PROTO: Final = ProtoCodec()
FAMILY: Final = "tickcast."
"""What the names of our subprotocols begin with."""
SPOKEN: Final[dict[str, Codec]] = {f"{FAMILY}{codec.name}": codec for codec in (JSON, MSGPACK, PROTO)}
"""By subprotocol."""


def _object(raw: object, expected: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Refused(ErrorCode.NOT_AN_OBJECT, f"expected a {expected}, found {type(raw).__name__}")
    stranger = next((key for key in raw if not isinstance(key, str)), None)
    if stranger is not None:
        raise Refused(ErrorCode.NOT_AN_OBJECT, f"expected keys that are text, found {str(stranger)[:40]!r}")
    return raw
