"""API keys: made and withdrawn by the command line, read by every process that lets clients in.

A key is ``tk_ID_SECRET`` with a secret of 256 random bits. Only a keyed hash of it is kept (HMAC-SHA-256 under a secret
of the data folder). A slow hash, as for passwords, would buy nothing: nobody can try 2^256 secrets, however fast a try
is, and each try of ours would cost every client that connects. The hash is keyed so that the file alone, in a backup
say, does not even confirm a guess.

Files in the folder ``auth`` of the data folder, both readable by their user only: ``keys.json`` is replaced as a whole
under a lock, so a reader sees the keys before a change or after it. Readers look at the file's status at each key that
they do not know, every :data:`FRESH_NS` for those they do, and a few times a second for those who are connected.
Whoever withdraws a key waits that long: once it is said to be withdrawn, no process lets it in.
"""

import base64
import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tickcast.gateway.auth.access import SUBJECT_MAX, Access, Denied, Scope
from tickcast.model.errors import UsageError
from tickcast.runtime.clock import pause
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

PREFIX: Final = "tk_"
ID_BYTES: Final = 5
SECRET_BYTES: Final = 32
KEY_MAX: Final = 128
KEYS_MAX: Final = 100_000
NAME_MAX: Final = 64
INVALID: Final = "the API key is not valid"
FRESH_NS: Final = 50_000_000
"""For how long what is known of keys counts without a look at their files."""


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as it is kept: everything but the secret."""

    id: str
    name: str
    """Of the user; keys of one name share the limits of a user."""
    hash: str
    created_ns: int
    scope: Scope
    until_ns: int = 0
    """End, ns since 1970 UTC; 0 = none."""
    revoked_ns: int = 0
    """When it was withdrawn; 0 = it was not."""

    def is_valid(self, wall_ns: int) -> bool:
        """Whether it may be used now."""
        return not self.revoked_ns and not 0 < self.until_ns <= wall_ns

    @property
    def access(self) -> Access:
        """What it lets in."""
        return Access(
            subject=f"key:{self.name}"[:SUBJECT_MAX],
            credential=f"key:{self.id}",
            scope=self.scope,
            until_ns=self.until_ns,
        )


class _Kept(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    version: int = 1
    keys: list[KeyEntry] = []


class KeyFile:
    """The file of keys, changed by one process at a time. Blocks: for the command line."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is ``auth`` in the data folder; it is made when the first key is."""
        self.folder: Final = folder
        self.path: Final = folder / "keys.json"

    def entries(self) -> list[KeyEntry]:
        """All keys, withdrawn ones too, oldest first.

        Raises:
            UsageError: the file is broken or cannot be read.
        """
        return _read(self.path).keys

    def add(self, name: str, scope: Scope, *, now_ns: int, until_ns: int = 0) -> tuple[str, KeyEntry]:
        """Make a key; returns it, which is never shown again, and what is kept of it.

        Raises:
            UsageError: the name is none, the file cannot be changed, or is full.
        """
        if not 0 < len(name) <= NAME_MAX or not name.isprintable() or name.strip() != name:
            raise UsageError(f"expected a name of 1 to {NAME_MAX} printable characters, found {name[:NAME_MAX]!r}")
        secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        with self._changed() as kept:
            if len(kept.keys) >= KEYS_MAX:
                raise UsageError(f"{self.path} holds {KEYS_MAX} keys, the most there may be")
            known = {entry.id for entry in kept.keys}
            identity = next(found for found in iter(_new_id, "") if found not in known)
            entry = KeyEntry(
                id=identity,
                name=name,
                hash=_hashed(self._pepper(), secret),
                created_ns=now_ns,
                scope=scope,
                until_ns=until_ns,
            )
            kept.keys.append(entry)
        return f"{PREFIX}{identity}_{secret}", entry

    def revoke(self, which: str, *, now_ns: int) -> list[KeyEntry]:
        """Withdraw the key of an id, or all keys of a name; returns those that were valid until now.

        Returns when nobody lets them in any more.

        Raises:
            UsageError: there is none such, or the file cannot be changed.
        """
        with self._changed() as kept:
            found = [entry for entry in kept.keys if which in {entry.id, entry.name}]
            if not found:
                raise UsageError(f"there is no key with the id or name {which[:NAME_MAX]!r}; see: tickcast keys list")
            gone = {entry.id for entry in found if not entry.revoked_ns}
            kept.keys = [
                msgspec.structs.replace(entry, revoked_ns=now_ns) if entry.id in gone else entry for entry in kept.keys
            ]
        pause(FRESH_NS / 1e9)
        return [entry for entry in found if entry.id in gone]

    def _pepper(self) -> bytes:
        path = self.folder / "pepper"
        with contextlib.suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
        return path.read_bytes()

    @contextlib.contextmanager
    def _changed(self) -> Iterator[_Kept]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / "keys.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = _read(self.path)
                yield kept
                new = self.path.with_suffix(".new")
                new.unlink(missing_ok=True)
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(kept), indent=1))
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self.path)
        except OSError as wrong:
            raise UsageError(f"{self.path} cannot be changed: {wrong.strerror or wrong}") from wrong


class KeyStore:
    """The keys as a process that lets clients in knows them."""

    def __init__(self, folder: Path) -> None:
        """Read what there is.

        Raises:
            UsageError: the file is broken or cannot be read.
        """
        self._path = folder / "keys.json"
        self._pepper_path = folder / "pepper"
        self._stamp: tuple[int, int, int] | None = None
        self._pepper = b""
        self._entries: dict[str, KeyEntry] = {}
        self.changes = 0
        """How often the file was read again: who holds connections looks at them when it grows."""
        self._load(_stamp(self._path))

    def __len__(self) -> int:
        return len(self._entries)

    def refresh(self) -> bool:
        """Read the file if it is another than before; returns whether it is."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        try:
            self._load(stamp)
        except UsageError as wrong:
            self._stamp = stamp
            log.error("the file of API keys is broken: those before stay", error=str(wrong))  # noqa: TRY400  a file
            return False
        self.changes += 1
        return True

    def admit(self, key: str, wall_ns: int) -> Access:
        """Let a key's holder in.

        Raises:
            Denied: it is none of ours, or no longer; says not which, and takes as long for each.
        """
        self.refresh()
        identity, _, secret = key.removeprefix(PREFIX).partition("_")
        entry = self._entries.get(identity) if len(key) <= KEY_MAX else None
        hashed = _hashed(self._pepper, secret[:KEY_MAX])
        is_right = hmac.compare_digest(hashed, entry.hash if entry is not None else "0" * len(hashed))
        if entry is None or not is_right or not entry.is_valid(wall_ns):
            raise Denied(INVALID)
        return entry.access

    def stands(self, access: Access, wall_ns: int) -> bool:
        """Whether the key of an access may still be used, for the same."""
        entry = self._entries.get(access.credential.removeprefix("key:"))
        return entry is not None and entry.is_valid(wall_ns) and entry.access == access

    def _load(self, stamp: tuple[int, int, int] | None) -> None:
        entries = {entry.id: entry for entry in _read(self._path).keys}
        if entries:
            try:
                self._pepper = self._pepper_path.read_bytes()
            except OSError as wrong:
                raise UsageError(
                    f"{self._pepper_path} cannot be read, without which no API key can be checked: {wrong.strerror}; "
                    "restore it, or remove keys.json beside it and make new keys"
                ) from wrong
        self._entries, self._stamp = entries, stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  at each client that comes: without another object
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return _Kept(keys=[])
    except OSError as wrong:
        raise UsageError(f"{path} cannot be read: {wrong.strerror or wrong}") from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise UsageError(f"{path} is broken: {wrong}; restore it, or remove it and make new keys") from wrong


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)


def _hashed(pepper: bytes, secret: str) -> str:
    return hmac.digest(pepper, secret.encode("utf-8", "surrogateescape"), hashlib.sha256).hex()
