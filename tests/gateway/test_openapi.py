"""Requests that are made of the OpenAPI document, good and bad ones: the server says what the document says.

The examples are the same in every run; what one of them breaks is to be mended in the server or in the document.
"""

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.model.errors import UsageError
from tickcast.model.fault import Fault
from tickcast.sim.faults import VERBS, FaultGate
from tickcast.testing.gateway import NoInsight, RunningGateway
from tickcast.testing.tokens import NOW_S, auth_config, token

EXAMPLES = 6
"""Of each operation; all of them take some seconds."""
NOW_NS = NOW_S * 10**9
HEADERS = {"authorization": f"Bearer {token({'symbols': ['*'], 'admin': True})}"}
CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


class Insight(NoInsight):
    def latency(self) -> dict[str, Any]:
        return {"hops": [], "window_s": 10.0}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {"feeds_live": 1, "feeds": 1, "instruments": 4, "failures": []}


class Feeds:
    feeds = ("okx",)

    async def listed(self, feed: str) -> dict[str, Any]:
        return {"feed": feed, "venue": "OKX", "symbols": [], "listed": 0, "on_demand": False}

    async def change(self, feed: str, add: Sequence[str], drop: Sequence[str]) -> dict[str, Any]:
        del feed
        if drop:
            raise UsageError("that is not streamed")
        return {"added": tuple(add), "dropped": tuple(drop), "streamed": 3}


class Processes:
    """One process, which is restarted as often as somebody likes: nothing happens."""

    async def rows(self) -> Sequence[dict[str, Any]]:
        state = {"pid": 7, "state": "running", "since": "2026-03-29T14:30:00.000Z", "restarts": 0, "last_error": None}
        return [{"name": name, "role": name, "venue": None, **state} for name in ("supervisor", "core")]

    async def restart(self, name: str, *, by: str) -> dict[str, Any]:
        assert (name, by) == ("core", "jwt:ann")
        return {"accepted": True, "pid": 7, "clients": "nothing"}


class Exchanges:
    """One simulated exchange, a real gate without a wire behind it."""

    def __init__(self) -> None:
        self._gate = FaultGate(lines=("A", "B"))

    async def faults(self) -> dict[str, Any]:
        verbs = msgspec.to_builtins(VERBS)
        return {"verbs": verbs, "venues": {"XNAS": self._gate.state()}}

    async def arm(self, venue: str, fault: Fault) -> dict[str, Any]:
        assert venue == "XNAS"
        self._gate.arm(fault)
        return self._gate.state()

    async def clear(self, venue: str) -> dict[str, Any]:
        assert venue == "XNAS"
        self._gate.clear()
        return self._gate.state()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    names = ("XNAS:AAPL", "XSIM:AAPL", "BINANCE:BTC-USDT")
    gateway = RunningGateway(Config(port=0), names=names, clock=lambda: NOW_NS)
    gateway.trade("XNAS:AAPL", "185.40")
    # No limit: each answer is to be reached, not the one to those who ask too often.
    auth = auth_config(tmp_path_factory.mktemp("auth"), requests_per_second_per_user=0)
    app = create_app(
        hub=gateway.hub,
        registry=gateway.registry,
        insight=Insight(),
        ledger=gateway.ledger,
        config=Config(hosts=("testserver",), auth=auth),
        clock=lambda: NOW_NS,
        symbols=Feeds(),
        processes=Processes(),
        exchanges=Exchanges(),
    )
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def exercise(operation: schemathesis.APIOperation[Any, Any, Any, Any], mode: schemathesis.GenerationMode) -> str:
    """Ask an operation in many ways; what it did wrong, or nothing."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS, headers=HEADERS)

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        return ""  # nothing about it can be wrong
    except (Exception, BaseExceptionGroup) as wrong:  # noqa: BLE001  checks and the server raise what they like
        return "\n".join([str(wrong), *getattr(wrong, "__notes__", ()), *map(str, getattr(wrong, "exceptions", ()))])
    return ""


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_the_server_answers_as_its_document_says(
    api: schemathesis.BaseSchema, mode: schemathesis.GenerationMode
) -> None:
    asked = 0
    failed = []
    for found in api.get_all_operations():
        asked += 1
        assert isinstance(found, Ok), found
        operation = found.ok()
        wrong = exercise(operation, mode)
        if wrong:
            failed.append(f"{operation.label}: {wrong}")
    assert asked > 17
    assert not failed, "\n\n".join(failed)
