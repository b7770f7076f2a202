"""How the simulated exchanges of an instance are reached: by the address that they told the supervisor.

There is one way, for the command line and for REST alike, so both have the same exchanges and the same refusals.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tickcast.model.errors import StateError, UsageError
from tickcast.model.fault import Fault
from tickcast.ops.control import ask_later
from tickcast.ops.datadir import DataDir
from tickcast.ops.process_control import WHO, supervisor_socket

TIMEOUT_S: Final = 5.0
SIM: Final = "sim"
"""Name of their process."""
NONE: Final = "no exchange of this instance is simulated"


class ExchangeControl:
    """Implements :class:`tickcast.ports.Exchanges`."""

    def __init__(self, data: DataDir) -> None:
        self._data = data

    async def endpoint(self) -> str | None:
        """Address of their control endpoint; None: this instance has no simulated exchanges.

        Raises:
            StateError: the supervisor does not answer, or they are not ready yet.
        """
        try:
            path = supervisor_socket(self._data)
        except UsageError:
            return None
        processes = {row["name"] for row in await ask_later(path, {"do": "ps"}, who=WHO)}
        if SIM not in processes:
            return None
        info = (await ask_later(path, {"do": "info"}, who=WHO))["processes"].get(SIM)
        if info is None:
            raise StateError("the simulated exchanges are not ready yet")
        return str(info["admin"])

    async def faults(self) -> Mapping[str, Any] | None:
        """Ask what each can do, and what is armed."""
        endpoint = await self.endpoint()
        if endpoint is None:
            return None
        found: Mapping[str, Any] = await ask_exchanges(endpoint, "GET", "/faults")
        return found

    async def arm(self, venue: str, fault: Fault) -> Mapping[str, Any]:
        """Let one of them make a fault."""
        return await self._ask("POST", venue, fault)

    async def clear(self, venue: str) -> Mapping[str, Any]:
        """End all faults of one of them."""
        return await self._ask("DELETE", venue)

    async def _ask(self, method: str, venue: str, fault: Fault | None = None) -> Mapping[str, Any]:
        endpoint = await self.endpoint()
        if endpoint is None:
            raise StateError(NONE)
        state: Mapping[str, Any] = await ask_exchanges(endpoint, method, f"/faults/{venue}", fault)
        return state


async def ask_exchanges(endpoint: str, method: str, path: str, body: Fault | None = None) -> Any:
    """Ask a control endpoint.

    Raises:
        UsageError: it refuses what it is asked, or is no address.
        StateError: it does not answer.
    """
    address = endpoint if "//" in endpoint else f"http://{endpoint}"
    if not urlsplit(address).hostname:
        raise UsageError(f"expected an address such as http://127.0.0.1:26404, found {endpoint!r}")
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    data = None if body is None else msgspec.json.encode(body)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, address.rstrip("/") + path, data=data, allow_redirects=False) as answer,
        ):
            found = msgspec.json.decode(await answer.read())
            status, reason = answer.status, answer.reason
    except (aiohttp.ClientError, OSError, msgspec.DecodeError) as wrong:
        raise StateError(f"the simulated exchanges at {endpoint} do not answer: {wrong or 'too late'}") from wrong
    if status == 200:
        return found
    raise UsageError(str(found.get("error", reason) if isinstance(found, dict) else reason))
