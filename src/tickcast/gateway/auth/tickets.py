"""Tickets: a short-lived word, good for one connection, for browsers: their streams send no headers of one's own.

An address ends up in logs and histories, so no token belongs there. A ticket may: it is spent when it is used, and over
within seconds. Each is a file in the data folder, named by its hash, so that whichever process of the instance it comes
to can take it, also one that started after it was made; taking it is renaming the file, which succeeds once.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from tickcast.gateway.auth.access import Access, Denied
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

WAITING_MAX: Final = 10_000
"""Tickets that are not used yet; further ones are refused until some are over."""
OF_USER_MAX: Final = 100
"""Of one user."""
TICKET_BYTES: Final = 32
TICKET_MAX: Final = 64
INVALID: Final = "the ticket is not valid: it was used before, is over, or never was"


class _Ticket(msgspec.Struct, frozen=True, kw_only=True):
    access: Access
    until_ns: int


class Tickets:
    """The tickets of an instance that are not used yet."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is ``auth/tickets`` in the data folder; it is made with the first ticket."""
        self._folder = folder
        self._made: dict[Path, tuple[str, int]] = {}
        """Those that this process made: of whom, until when. In the order of their ends."""

    def issue(self, access: Access, *, wall_ns: int, for_ns: int) -> tuple[str, int]:
        """Make a ticket; returns it and its end, ns.

        Raises:
            Denied: too many wait to be used.
            OSError: the folder cannot be written.
        """
        self._forget(wall_ns)
        mine = sum(subject == access.subject for subject, _ in self._made.values())
        if mine >= OF_USER_MAX or len(self._made) >= WAITING_MAX:
            raise Denied("too many tickets wait to be used; use them, or wait until they are over", status=429)
        until_ns = min(wall_ns + for_ns, access.until_ns or wall_ns + for_ns)
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        path = self._path(ticket)
        if not self._made:
            self._begin(wall_ns)
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(msgspec.json.encode(_Ticket(access=access, until_ns=until_ns)))
        self._made[path] = (access.subject, until_ns)
        return ticket, until_ns

    def admit(self, ticket: str, wall_ns: int) -> Access:
        """Let a ticket's holder in, once.

        Raises:
            Denied: it was used before, is over, or never was; says not which.
        """
        if not 0 < len(ticket) <= TICKET_MAX or not ticket.isascii():
            raise Denied(INVALID)
        path = self._path(ticket)
        spent = path.with_suffix(f".{secrets.token_hex(4)}")
        try:
            path.rename(spent)  # of several who try, one succeeds
        except OSError:
            raise Denied(INVALID) from None
        self._made.pop(path, None)
        try:
            found = msgspec.json.decode(spent.read_bytes(), type=_Ticket)
        except (OSError, msgspec.DecodeError) as broken:
            log.warning("a ticket that was made cannot be read", reason=str(broken))
            raise Denied(INVALID) from None
        finally:
            spent.unlink(missing_ok=True)
        if found.until_ns <= wall_ns:
            raise Denied(INVALID)
        return found.access

    def _path(self, ticket: str) -> Path:
        return self._folder / hashlib.sha256(ticket.encode()).hexdigest()

    def _begin(self, wall_ns: int) -> None:
        """Make the folder, and remove what a process before this one left there."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError, msgspec.DecodeError):
                if msgspec.json.decode(path.read_bytes(), type=_Ticket).until_ns <= wall_ns:
                    path.unlink(missing_ok=True)

    def _forget(self, wall_ns: int) -> None:
        """Remove those that are over."""
        for path, (_, until_ns) in list(self._made.items()):
            if until_ns > wall_ns and path.exists():
                continue
            self._made.pop(path)
            path.unlink(missing_ok=True)
