"""How the core reaches the supervisor that keeps it, for what is asked over REST: by the instance's control socket."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import ask_later
from tickcast.ops.datadir import DataDir

WHO: Final = "the supervisor"


class ProcessControl:
    """Implements :class:`tickcast.ports.Processes`."""

    def __init__(self, data: DataDir) -> None:
        self._data = data

    async def rows(self) -> Sequence[Mapping[str, Any]]:
        """Ask for the rows of ``tickcast ps``."""
        rows: Sequence[Mapping[str, Any]] = await self._ask({"do": "ps"})
        return rows

    async def restart(self, name: str, *, by: str) -> Mapping[str, Any]:
        """Ask for a restart that begins when the answer is out."""
        answer: Mapping[str, Any] = await self._ask({"do": "restart", "name": name, "by": by})
        return answer

    async def _ask(self, request: Mapping[str, Any]) -> Any:
        return await ask_later(supervisor_socket(self._data), request, who=WHO)


def supervisor_socket(data: DataDir) -> Path:
    """Where the supervisor of the instance listens.

    Raises:
        UsageError: these processes have none.
    """
    try:
        return Path(data.instance().control)
    except StateError:
        raise UsageError(
            "no supervisor keeps the processes of this instance: restart them with what started them"
        ) from None
