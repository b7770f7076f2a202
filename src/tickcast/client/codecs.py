"""The codecs from the client's side: messages of the gateway to frames, requests to messages. No I/O.

A frame is a dict with the keys of ``tickcast.json``, whatever it came as; decimals may be texts or
:class:`~decimal.Decimal`.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from tickcast.client.errors import ProtocolError


class Codec(Protocol):
    """One way to write messages."""

    def frames(self, message: str | bytes) -> Sequence[dict[str, Any]]:
        """Return the frames of a message.

        Raises:
            ProtocolError: it is none of this codec.
        """

    def request(self, request: dict[str, Any]) -> str | bytes:
        """Return a request's message; text where the codec is text."""


class JsonCodec:
    """``tickcast.json``."""

    def frames(self, message: str | bytes) -> Sequence[dict[str, Any]]:
        """See :class:`Codec`."""
        try:
            found = msgspec.json.decode(message)
        except msgspec.DecodeError as broken:
            raise ProtocolError(f"expected JSON from the gateway, found something else: {broken}") from None
        return objects(found)

    def request(self, request: dict[str, Any]) -> str | bytes:
        """See :class:`Codec`."""
        return msgspec.json.encode(request).decode()


class MsgpackCodec:
    """``tickcast.msgpack``: maps."""

    def frames(self, message: str | bytes) -> Sequence[dict[str, Any]]:
        """See :class:`Codec`."""
        try:
            found = msgspec.msgpack.decode(binary(message))
        except (msgspec.DecodeError, TypeError, UnicodeDecodeError) as broken:
            raise ProtocolError(f"expected MessagePack from the gateway, found something else: {broken}") from None
        return objects(found)

    def request(self, request: dict[str, Any]) -> str | bytes:
        """See :class:`Codec`."""
        return msgspec.msgpack.encode(request)


JSON: Final = JsonCodec()


def binary(message: str | bytes) -> bytes:
    """Return a message that must be binary."""
    if isinstance(message, str):
        raise ProtocolError("expected binary messages from the gateway, found text")
    return message


def objects(found: object) -> Sequence[dict[str, Any]]:
    """Return a frame, or each of a list of frames, that must be objects."""
    frames: list[Any] = found if isinstance(found, list) else [found]
    for frame in frames:
        if not isinstance(frame, dict):
            raise ProtocolError(f"expected frames that are objects, found {type(frame).__name__}")
    return frames
