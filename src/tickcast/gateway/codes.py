"""Numbered outcomes: the range alone tells a client whether to go on, retry or stop.

Errors (``{"type":"error","code":…}``) leave the connection alive: 4000-4099 the request is broken, 4100-4199 it is over
a limit, 4200-4299 it is not allowed, 4500-4599 we failed and the request may be tried again. Closes: 1002, 1007 and
1009 are framing faults (RFC 6455 section 7.4.1), 4700-4799 say come back after a delay, 4800-4899 do not come back.
The tables in ``docs/protocol.md`` are held against these in a test.
"""

from enum import IntEnum
from typing import Self


class ErrorCode(IntEnum):
    """Why a request was refused; nothing of it was applied."""

    BROKEN_MESSAGE = (
        4000,
        "the message is not what the connection's codec says (no JSON, no MessagePack, no `ClientFrame`)",
    )
    NOT_AN_OBJECT = 4001, "the message is JSON or MessagePack, but no object"
    UNKNOWN_ACTION = 4002, "`action` is missing or unknown"
    INVALID_REQUEST = 4003, "a key is missing, or its value has the wrong type"
    UNKNOWN_CHANNEL = 4004, "`channel` is unknown"
    UNKNOWN_MODE = 4005, "`mode` is unknown, or the channel does not offer it"
    UNKNOWN_FIELD = 4006, "`fields` holds an unknown name, is empty, or the channel has no fields"
    INVALID_RATE = 4007, "`rate` is negative or not a number"
    INVALID_TIMESTAMP = 4008, "`last_seen` holds a text that is no RFC 3339 timestamp"
    WRONG_OPCODE = 4009, "a binary message on a connection whose codec is JSON, or a text message on another"
    TOO_MANY_REQUESTS = 4101, "more requests a second than allowed"
    TOO_MANY_SYMBOLS = 4102, "more symbols on this connection than allowed"
    NOT_ENTITLED = 4200, "not within what this client may do: mode `all` where its updates are limited, another token"
    INTERNAL = 4500, "we failed; try again"
    UNAVAILABLE = 4501, "the process that owns the data does not answer; try again"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Give the member its number and its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class CloseCode(IntEnum):
    """Why the gateway closes a connection."""

    NORMAL = 1000, "the client closed; the answer to its close"
    PROTOCOL_ERROR = 1002, "the client broke the framing of RFC 6455 (an unmasked frame, a wrong opcode or length)"
    INVALID_DATA = 1007, "a text message is no UTF-8"
    TOO_BIG = 1009, "a message is larger than allowed"
    SLOW = 4701, "the client does not read what it asked for"
    DRAIN = 4702, "the gateway stops or restarts"
    FLOOD = 4703, "requests kept coming long after they were refused"
    TIMED_OUT = 4704, "nothing came back between two pings, or a frame was never finished"
    USER_FULL = 4705, "the user holds as many streams as one may, or opens them too fast"
    NOT_ADMITTED = 4801, "a token or key is missing, wrong, over or withdrawn; come back with another only"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Give the member its number and its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
