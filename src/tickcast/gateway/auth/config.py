"""Settings of who may connect: anonymous or not, keys of tokens, limits of one user."""

from typing import Final

import msgspec

BYTES_MIN: Final = 1 << 28
TOKEN_MIN: Final = 64
"""Bytes below which no token would fit into the bound."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[gateway.auth]`` of the config file."""

    anonymous: bool | None = None
    """Whether a client that shows nothing may see everything. Without it: where the gateway listens on a loopback
    address and no tokens are set up. A gateway that others can reach starts only if this is set or ``jwt_keys`` are."""
    jwt_keys: tuple[str, ...] = ()
    """Files that hold the keys of JSON Web Tokens: a public key (PEM) for RS256, a secret of at least 32 bytes for
    HS256, or a JWK Set. The key id (``kid``) is the file's name without its ending, in a JWK Set its own. Changed files
    are read again at once; relative paths are of the config file's process."""
    jwt_issuer: str = ""
    """``iss`` that tokens must have; needed with ``jwt_keys``."""
    jwt_audience: str = ""
    """``aud`` that tokens must have, alone or among others; needed with ``jwt_keys``."""
    jwt_leeway_s: float = 10.0
    """How far clocks of issuer and gateway may differ: tokens end so much later, and begin so much earlier."""
    token_max: int = 8_192
    """Bytes of a token; a longer one is refused unread."""
    ticket_s: float = 30.0
    """Time in which a ticket of ``POST /ticket`` may be used, once."""
    delayed: bool = False
    """Whether prices are kept back for those whose scope says ``delayed``; without it they are refused. Takes a second
    hub, which applies everything once more, and room in the data folder."""
    delay_s: float = 900.0
    """How late they see everything."""
    delay_bytes_max: int = 8 << 30
    """Bytes of the data folder that prices kept back may take. A feed for which there is no room is ``stale`` for them
    until the core restarts."""
    connections_per_user_max: int = 100
    """Streams a user may hold, at all gateway workers together, unless the scope says another number. 0: no limit."""
    handshakes_per_second_per_user: int = 20
    """Streams a user may open at all gateway workers together, in the long run and at once; further ones are answered
    with 429."""
    requests_per_second_per_user: int = 200
    """Requests a user may send over all streams and gateway workers together, in the long run and at once."""

    def __post_init__(self) -> None:
        """Refuse values that nobody could be let in with.

        Raises:
            ValueError: names the field, what is allowed and what was found.
        """
        if self.jwt_keys and not (self.jwt_issuer and self.jwt_audience):
            missing = "jwt_issuer" if not self.jwt_issuer else "jwt_audience"
            raise ValueError(f"{missing}: expected a text with jwt_keys, so that tokens for others do not count here")
        if self.jwt_leeway_s < 0:
            raise ValueError(f"jwt_leeway_s: expected 0 or more seconds, found {self.jwt_leeway_s}")
        if self.delay_bytes_max < BYTES_MIN:
            raise ValueError(f"delay_bytes_max: expected at least {BYTES_MIN} bytes, found {self.delay_bytes_max}")
        for name in ("ticket_s", "delay_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0 seconds, found {getattr(self, name)}")
        if self.token_max < TOKEN_MIN:
            raise ValueError(f"token_max: expected at least {TOKEN_MIN} bytes, found {self.token_max}")
        for name in ("connections_per_user_max", "handshakes_per_second_per_user", "requests_per_second_per_user"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, found {getattr(self, name)}")
