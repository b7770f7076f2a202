"""The data folder: everything by which an instance is found, and the lock that makes it one."""

import fcntl
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Final

import msgspec

from tickcast.model.errors import StateError, UsageError

VARIABLE: Final = "TICKCAST_DATA"
DEFAULT: Final = ".tickcast"
SOCKET_PATH_MAX: Final = 100
"""Bytes; the kernel's limit for the path of a Unix socket is 108 on Linux and 104 on macOS."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """``instance.json``: who runs in a data folder, and where to speak with it."""

    pid: int
    started_ns: int
    control: str
    """Path of the control socket."""
    version: str


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink() or status.st_mode & 0o077:
        raise UsageError(f"the folder {folder} for sockets is not private to this user; remove it")


class DataDir:
    """The paths in a data folder; nothing is created before :meth:`create`."""

    def __init__(self, root: Path | str) -> None:
        self.root: Final = Path(root).absolute()

    @classmethod
    def resolve(cls, option: Path | str | None = None) -> "DataDir":
        """``--data`` if given, else ``TICKCAST_DATA``, else ``./.tickcast``."""
        return cls(option or os.environ.get(VARIABLE) or DEFAULT)

    def __str__(self) -> str:
        return str(self.root)

    @property
    def logs(self) -> Path:
        """Folder of the log files, one a process."""
        return self.root / "logs"

    def log(self, name: str) -> Path:
        """Log file of a process."""
        return self.logs / f"{name}.log"

    @property
    def control(self) -> Path:
        """Where an instance started here listens for commands."""
        return self.socket("control")

    def socket(self, name: str) -> Path:
        """Path for a Unix socket: in the folder, or in a short private one in the temporary folder if that is too long.

        The same folder gives the same path in every process. Names differ in length, so of one folder some may be
        inside and others not: the short one is made with the first that needs it, once there is the folder itself.

        Raises:
            UsageError: both are too long, or the short folder is somebody else's.
        """
        inside = self.root / f"{name}.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  the folder is private and its owner is checked
            short = Path(base) / f"tickcast-{os.getuid()}-{digest}" / f"{name}.sock"
            if len(os.fsencode(short)) <= SOCKET_PATH_MAX:
                if self.root.is_dir():
                    _make_private(short.parent)
                return short
        raise UsageError(f"the path of the data folder is too long for a socket, and so is TMPDIR: {self.root}")

    def create(self) -> None:
        """Create the folder and what is in it; other users can read nothing of a new one.

        Raises:
            UsageError: it cannot be created or written to.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as wrong:
            raise self._unwritable(wrong) from wrong
        self.socket("control")

    def _unwritable(self, wrong: OSError) -> UsageError:
        return UsageError(
            f"the data folder {self.root} cannot be written: {wrong.strerror or wrong}; "
            f"choose another with --data or {VARIABLE}"
        )

    def lock(self) -> "InstanceLock":
        """Take the folder for this process; held until ``release`` or the end of the process, however it ends.

        Raises:
            StateError: another instance has it; names its process.
            UsageError: the folder cannot be written, for instance because the disk is full.
        """
        try:
            return InstanceLock(self)
        except OSError as wrong:
            raise self._unwritable(wrong) from wrong

    def write_instance(self, instance: Instance) -> None:
        """Publish who runs here.

        Raises:
            UsageError: the folder cannot be written.
        """
        new = self.root / "instance.json.new"
        try:
            new.write_bytes(msgspec.json.encode(instance) + b"\n")
            new.replace(self.root / "instance.json")
        except OSError as wrong:
            raise self._unwritable(wrong) from wrong

    def instance(self) -> Instance:
        """Who runs here.

        Raises:
            StateError: nobody; says how to start.
        """
        try:
            found = msgspec.json.decode((self.root / "instance.json").read_bytes(), type=Instance)
        except (OSError, msgspec.DecodeError):
            found = None
        if found is None or not self.locked():
            raise StateError(
                f"no instance runs in {self.root}; start one with: tickcast up --config FILE --data {self.root} "
                f"(or: tickcast demo), or name its folder with --data or {VARIABLE}"
            )
        return found

    def locked(self) -> bool:
        """Whether an instance holds the folder now."""
        try:
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False


class InstanceLock:
    """The kernel's lock on a data folder: a process that was killed holds nothing, so there is no stale lock."""

    def __init__(self, data: DataDir) -> None:
        self._handle = os.open(data.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self._take():
            holder = os.pread(self._handle, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._handle)
            raise StateError(
                f"an instance already runs in {data.root} (process {holder}); "
                f"stop it with: tickcast stop --data {data.root}, or use another folder with --data"
            )
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> bool:
        for _ in range(5):  # a command that only looks whether an instance runs holds the lock for an instant
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                threading.Event().wait(0.05)
            else:
                return True
        return False

    def release(self) -> None:
        """Let another instance have the folder."""
        os.close(self._handle)
