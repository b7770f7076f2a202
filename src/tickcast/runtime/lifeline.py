"""The lifeline between the supervisor and the processes it starts: when the parent is gone, so is the child.

Three ways to hear of it, because each alone has a hole. Linux kills a child whose parent died, even a stopped one,
if the child asked for it; but a parent that died before the child asked is not noticed, so the parent's id is
compared after asking. Other systems have no such signal: there, and behind a wrapper process, the end of the pipe on
standard input tells.
"""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

PARENT_VARIABLE: Final = "TICKCAST_PARENT_PID"
"""Environment variable in which the supervisor tells a child its own process id."""
ORPHAN_STATUS: Final = 1
_PR_SET_PDEATHSIG: Final = 1


def bind_to_parent() -> bool:
    """Tie the life of this process to the supervisor's; call it first thing in the main thread of a child.

    Standard input belongs to the lifeline afterwards.

    Returns:
        Whether there is a supervisor: without one nothing happens and False is returned.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent.isdecimal():
        return False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        os._exit(ORPHAN_STATUS)
    threading.Thread(target=_end_with_stdin, name="lifeline", daemon=True).start()
    return True


def _end_with_stdin() -> None:
    # signals are for the main thread: one delivered here would not wake it
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        return  # standard input was closed in this process, which says nothing of the parent
    os._exit(ORPHAN_STATUS)
