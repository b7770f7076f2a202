"""The one way in: request headers, a ticket, or the token of a first message become an :class:`Access`, or a refusal.

Whatever speaks with clients asks here once for each connection (or request of REST) and keeps what it gets; nothing
checks a token of its own, and nothing checks one twice: who comes again with what let them in before is known by its
hash, as long as it lasts and no key changes. ``refresh`` and ``stands`` are for those who hold connections:
they say, a few times a second, whether what was let in may stay.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tickcast.gateway.auth.access import ANYONE, Access, Denied
from tickcast.gateway.auth.config import Config
from tickcast.gateway.auth.keys import FRESH_NS, PREFIX, KeyStore
from tickcast.gateway.auth.tickets import Tickets
from tickcast.gateway.auth.tokens import KeyRing
from tickcast.model.errors import UsageError
from tickcast.ports import Clock
from tickcast.runtime import metrics

Headers = Sequence[tuple[bytes, bytes]]
BEARER: Final = b"bearer "
MISSING: Final = (
    "expected who you are: the header Authorization: Bearer TOKEN (or X-Api-Key), a ticket, "
    'or {"action":"auth","token":"..."} as the first message of a stream'
)
NS: Final = 1_000_000_000
PREFIX_BYTES: Final = PREFIX.encode()
KNOWN_MAX: Final = 16_384
"""Tokens and keys that are known again; the one that is known for longest is forgotten."""

_admitted: Final = metrics.counter("gateway_admitted", "Clients and requests let in, so far.", ("by",))
_denied: Final = metrics.counter("gateway_denied", "Clients and requests not let in, so far.", ("by",))

_ADMITTED: Final = {by: _admitted.labels(by) for by in ("token", "key", "ticket")}


class Admission:
    """Decides who comes in, and what they may see."""

    def __init__(self, config: Config, *, host: str, folder: Path | None, wall: Clock) -> None:
        """Read the keys there are.

        Args:
            config: ``[gateway.auth]``.
            host: address that the gateway listens on.
            folder: ``auth`` in the data folder; None: there are no API keys and no tickets.
            wall: now, as clocks on the wall show it, ns since 1970 UTC.

        Raises:
            UsageError: keys cannot be read.
        """
        self.config = config
        self.lets_anyone_in = takes_anonymous(config, host)
        self._wall = wall
        self._keys = None if folder is None else KeyStore(folder)
        self._tokens = KeyRing(config) if config.jwt_keys else None
        self._tickets = None if folder is None else Tickets(folder / "tickets")
        self._known: dict[bytes, Access] = {}
        """Who came in, by the hash of what they showed."""
        self._came = dict.fromkeys(_ADMITTED, 0)
        """Counted here, and told with each look at the keys: a counter costs as much as knowing somebody again."""
        self._looked_ns = 0
        self._changes = 0

    def admit(self, headers: Headers = (), *, ticket: str = "", token: str = "") -> Access:
        """Decide who somebody is by what they show: exactly one thing, or nothing.

        Args:
            headers: of the request, names in small letters; ``Authorization`` and ``X-Api-Key`` count.
            ticket: of the address, as :meth:`issue` made it.
            token: of a first message: a JSON Web Token or an API key.

        Raises:
            Denied: what is shown is wrong; or nothing is (``is_missing``), and nobody comes in without.
        """
        shown = _shown(headers)
        if ticket:
            shown.append(("ticket", ticket.encode("utf-8", "surrogatepass")))
        if token:
            shown.append(("token", token.encode("utf-8", "surrogatepass")))
        if len(shown) == 1:
            by, secret = shown[0]
        elif not shown and self.lets_anyone_in:
            return ANYONE
        else:
            by, secret = "several" if shown else "nothing", b""
        known = hashlib.sha256(secret).digest()
        wall_ns = self._wall()
        access = self._known_again(known, wall_ns) if by == "token" or secret.startswith(PREFIX_BYTES) else None
        if access is None:
            try:
                access = self._admit(by, secret, len(shown))
                self._check_late(access)
            except Denied:
                _denied.labels(by).inc()
                raise
            if by != "ticket":
                self._remember(known, access)
        self._came[by] += 1
        return access

    def issue(self, access: Access) -> tuple[str, int]:
        """Make a ticket for somebody who was let in; returns it and its end, ns since 1970 UTC.

        Raises:
            Denied: they may have none, or too many wait to be used.
        """
        if self._tickets is None:
            raise Denied("this gateway makes no tickets", status=403)
        return self._tickets.issue(access, wall_ns=self._wall(), for_ns=int(self.config.ticket_s * NS))

    def refresh(self) -> int:
        """Read keys again that changed; returns a number that grows when those who were let in must be looked at."""
        for by, count in self._came.items():
            _ADMITTED[by].inc(count)
            self._came[by] = 0
        changes = 0
        for known in (self._keys, self._tokens):
            if known is not None:
                known.refresh()
                changes += known.changes
        if changes != self._changes:
            self._changes = changes
            self._known.clear()
        return changes

    def stands(self, access: Access) -> bool:
        """Whether somebody who was let in may stay."""
        wall_ns = self._wall()
        if access.is_over(wall_ns):
            return False
        if access.credential.startswith("key:"):
            return self._keys is not None and self._keys.stands(access, wall_ns)
        return not access.credential or (self._tokens is not None and self._tokens.stands(access))

    def _known_again(self, known: bytes, wall_ns: int) -> Access | None:
        """Who came in with this before, if it still lets them in."""
        if not 0 <= wall_ns - self._looked_ns < FRESH_NS:
            self._looked_ns = wall_ns
            self.refresh()
        access = self._known.get(known)
        return None if access is None or access.is_over(wall_ns) or not access.has_begun(wall_ns) else access

    def _remember(self, known: bytes, access: Access) -> None:
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[known] = access

    def _check_late(self, access: Access) -> None:
        if access.scope.delayed and not self.config.delayed:
            raise Denied("you may see prices late, and this gateway keeps none back (gateway.auth.delayed)", status=403)

    def _admit(self, by: str, raw: bytes, count: int) -> Access:
        if not count:
            raise Denied(MISSING, is_missing=True)
        if count > 1:
            raise Denied(f"expected one thing that says who you are, found {count}")
        secret = raw.decode("utf-8", "surrogateescape")
        if by == "ticket":
            return self._admit_ticket(secret)
        if by == "key" or secret.startswith(PREFIX):
            if self._keys is None:
                raise Denied("this gateway takes no API keys")
            return self._keys.admit(secret, self._wall())
        if self._tokens is None:
            raise Denied("this gateway takes no tokens: expected an API key")
        return self._tokens.admit(secret, self._wall())

    def _admit_ticket(self, ticket: str) -> Access:
        if self._tickets is None:
            raise Denied("this gateway takes no tickets")
        access = self._tickets.admit(ticket, self._wall())
        self.refresh()
        if not self.stands(access):
            raise Denied("what the ticket rests on was withdrawn")
        return access


def _shown(headers: Headers) -> list[tuple[str, bytes]]:
    """What headers show; an ``Authorization`` of another kind (a proxy's, say) is not for us."""
    shown: list[tuple[str, bytes]] = []
    for name, value in headers:
        if name == b"authorization":
            text = value.strip()
            if text[: len(BEARER)].lower() == BEARER:
                shown.append(("token", text[len(BEARER) :].strip()))
        elif name == b"x-api-key":
            shown.append(("key", value.strip()))
    return shown


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that is listened on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def takes_anonymous(config: Config, host: str) -> bool:
    """Whether who shows nothing comes in."""
    if config.anonymous is not None:
        return config.anonymous
    return is_loopback(host) and not config.jwt_keys


def check_door(config: Config, host: str) -> None:
    """Refuse a gateway that others can reach while nobody said who may come in.

    Raises:
        UsageError: says what to set.
    """
    if is_loopback(host) or config.anonymous is not None or config.jwt_keys:
        return
    raise UsageError(
        f"others can reach {host or 'every address'}, and the config does not say who may see prices. "
        "Set gateway.auth.anonymous = false and make API keys (tickcast keys add), or set gateway.auth.jwt_keys; "
        "gateway.auth.anonymous = true lets everybody in. See docs/how-to/secure-a-gateway.md"
    )
