"""What goes wrong between a client and its gateway. Each text says what to do.

TickcastError
└── ClientError          base of all below
    ├── UnreachableError   nobody answers there, or nobody who can be trusted
    ├── RequestError       what was asked for is wrong: the same again would fail again
    ├── TokenError         a token is missing, wrong or over
    ├── NotAllowedError    the token is good, but not for this
    ├── ClosedError        the gateway closed and does not want us back
    └── ProtocolError      what came is not what a gateway says
"""

from collections.abc import Sequence
from typing import Final

from tickcast.model.errors import TickcastError

TOO_MANY_SYMBOLS: Final = 4102
TOKEN_CLOSE: Final = 4801
REFUSED_FOR_GOOD: Final = range(4000, 4100)
NOT_ALLOWED: Final = range(4200, 4300)
SHOWN_MAX: Final = 5


class ClientError(TickcastError):
    """Base of all that :func:`tickcast.connect` and what it gives raise."""


class UnreachableError(ClientError):
    """No gateway answers at the address, or its certificate is not trusted."""


class RequestError(ClientError):
    """What was asked for cannot be: the same request would be refused again."""

    def __init__(self, text: str, *, code: int = 0, symbols: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.code: Final = code
        """Of the protocol (4000 to 4199), or the status of HTTP; 0: it was not sent."""
        self.symbols: Final = tuple(symbols)
        """Those it is about, where the gateway says so."""


class TokenError(ClientError):
    """The gateway wants a token and got none, or one that is wrong or over."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code: Final = code
        """4801, or the status of HTTP: 401."""


class NotAllowedError(ClientError):
    """The gateway knows who asks, and does not give them this."""

    def __init__(self, text: str, *, code: int, symbols: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.code: Final = code
        """Of the protocol (4200 to 4299), or the status of HTTP: 403."""
        self.symbols: Final = tuple(symbols)


class ClosedError(ClientError):
    """The gateway closed the connection and said not to come back (4800-4899), or we broke its protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(
            f"the gateway closed the stream with {code} ({reason or 'no reason given'}) and does not want a reconnect; "
            "docs/reference/errors.md and the gateway at /docs/errors say what the code means"
        )
        self.code: Final = code


class ProtocolError(ClientError):
    """What came is not the protocol of a gateway of this version."""


def refused(code: int, reason: str, symbols: Sequence[str] = ()) -> ClientError | None:
    """Return the error of an ``error`` frame; None: the request may be sent again in a while."""
    named = ", ".join(symbols[:SHOWN_MAX]) + (", ..." if len(symbols) > SHOWN_MAX else "")
    about = f" ({named})" if named else ""
    if code in NOT_ALLOWED:
        return NotAllowedError(
            f"the gateway refused with {code}: {reason}{about}; ask for what the token allows, or the operator",
            code=code,
            symbols=symbols,
        )
    if code == TOO_MANY_SYMBOLS:
        return RequestError(
            f"the gateway refused with {code}: {reason}{about}; watch fewer in one stream, or make a second one",
            code=code,
            symbols=symbols,
        )
    if code in REFUSED_FOR_GOOD:
        return RequestError(f"the gateway refused with {code}: {reason}{about}", code=code, symbols=symbols)
    return None


def untrusted(why: str) -> UnreachableError:
    """Return the error of a certificate that nobody here vouches for."""
    return UnreachableError(
        f"expected a gateway with a certificate that is trusted here: {why}; where it is signed by an authority of "
        "your own, name its file in SSL_CERT_FILE, or give ssl=ssl.create_default_context(cafile=...)"
    )


def answered(status: int, detail: str, *, with_token: bool) -> ClientError:
    """Return the error of an answer of HTTP, to a handshake or to REST."""
    said = f"the gateway answered {status}" + (f": {detail}" if detail else "")
    if status == 401:
        return token_error(status, detail, with_token=with_token)
    if status == 403:
        return NotAllowedError(f"{said}; ask its operator for more", code=status)
    return RequestError(said, code=status)


def token_error(code: int, reason: str, *, with_token: bool) -> TokenError:
    """Return the error of a token that is missing or does not do."""
    why = f" ({reason})" if reason else ""
    if not with_token:
        return TokenError(
            f"the gateway wants a token{why}, found none: give one from its operator, to tickcast.connect as "
            "token=..., to a command by --token-file or in TICKCAST_TOKEN",
            code=code,
        )
    return TokenError(
        f"the gateway does not take the token{why}: expected one that is whole, for this gateway and not over; give a "
        "function as token, which is asked for each connection, where tokens end",
        code=code,
    )
