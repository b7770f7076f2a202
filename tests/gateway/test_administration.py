"""REST of processes and faults: who may, what is answered, and what is written down of it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from tickcast.gateway import audit
from tickcast.gateway.administration import BODY_MAX
from tickcast.gateway.auth.door import for_operators
from tickcast.gateway.config import Config
from tickcast.gateway.rest import create_app
from tickcast.model.errors import StateError, UsageError
from tickcast.model.fault import Fault
from tickcast.sim.faults import VERBS, FaultGate
from tickcast.testing.gateway import NoInsight, RunningGateway
from tickcast.testing.tokens import NOW_S, auth_config, token

TOKEN = token({"admin": True})
ADMIN = {"authorization": f"Bearer {TOKEN}"}
READER = {"authorization": f"Bearer {token()}"}
PART = {"authorization": f"Bearer {token({'symbols': ['XNAS:*']})}"}
CHANGES = [("POST", "/processes/xnas/restart"), ("POST", "/faults/XNAS"), ("DELETE", "/faults/XNAS")]


class Processes:
    """A supervisor, which is away if it is told so."""

    def __init__(self) -> None:
        self.restarted: list[tuple[str, str]] = []
        self.wrong: Exception | None = None
        self.too_soon = False

    async def rows(self) -> Sequence[dict[str, Any]]:
        if self.wrong is not None:
            raise self.wrong
        names = {"supervisor": "supervisor", "core": "core", "xnas": "feed"}
        return [{"name": name, "role": role, "pid": 7, "rate": None} for name, role in names.items()]

    async def restart(self, name: str, *, by: str) -> dict[str, Any]:
        if self.too_soon:
            return {"accepted": False, "retry_s": 6.1}
        self.restarted.append((name, by))
        return {"accepted": True, "pid": 7, "clients": "they see nothing"}


class Exchanges:
    """One exchange with a gate and no wire; or none is simulated."""

    def __init__(self) -> None:
        self.gate = FaultGate(lines=("A",))
        self.simulated = True
        self.wrong: Exception | None = None

    async def faults(self) -> dict[str, Any] | None:
        if self.wrong is not None:
            raise self.wrong
        if not self.simulated:
            return None
        return {"verbs": msgspec.to_builtins(VERBS), "venues": {"XNAS": self.gate.state()}}

    async def arm(self, venue: str, fault: Fault) -> dict[str, Any]:
        assert venue == "XNAS"
        self.gate.arm(fault)
        return self.gate.state()

    async def clear(self, venue: str) -> dict[str, Any]:
        assert venue == "XNAS"
        self.gate.clear()
        return self.gate.state()


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def exchanges() -> Exchanges:
    return Exchanges()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(auth=auth_config(tmp_path, requests_per_second_per_user=0))


@pytest.fixture
async def http(
    gateway: RunningGateway, config: Config, processes: Processes, exchanges: Exchanges
) -> AsyncIterator[httpx.AsyncClient]:
    async with client(gateway, config, processes, exchanges) as made:
        yield made


@asynccontextmanager
async def client(
    gateway: RunningGateway, config: Config, processes: Processes, exchanges: Exchanges, *, is_local: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        hub=gateway.hub,
        registry=gateway.registry,
        insight=NoInsight(),
        ledger=gateway.ledger,
        config=config,
        clock=lambda: NOW_S * 10**9,
        processes=processes,
        exchanges=exchanges,
    )
    app = for_operators(app) if is_local else app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as made:
        yield made


@contextmanager
def audited() -> Iterator[list[Any]]:
    """What the audit log is told."""
    before = audit.log
    audit.log = structlog.get_logger("audit")
    try:
        with capture_logs() as lines:
            yield lines
    finally:
        audit.log = before


# ---------------------------------------------------------------------- restart


async def test_a_process_is_restarted_and_who_asked_is_told_what_comes(
    http: httpx.AsyncClient, processes: Processes
) -> None:
    listed = await http.get("/processes", headers=ADMIN)
    assert [row["name"] for row in listed.json()["processes"]] == ["supervisor", "core", "xnas"]
    answer = await http.post("/processes/xnas/restart", headers=ADMIN)
    assert answer.status_code == 202
    assert answer.json() == {"name": "xnas", "role": "feed", "pid": 7, "clients": "they see nothing"}
    assert processes.restarted == [("xnas", "jwt:ann")]


@pytest.mark.parametrize("name", ["nobody", "supervisor", "XNAS"])
async def test_what_is_no_process_is_not_restarted(http: httpx.AsyncClient, processes: Processes, name: str) -> None:
    answer = await http.post(f"/processes/{name}/restart", headers=ADMIN)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        f"there is no process {name} to restart; there are: core, xnas",
    )
    assert processes.restarted == []


async def test_a_restart_that_comes_too_soon_says_when_to_come_again(
    http: httpx.AsyncClient, processes: Processes
) -> None:
    processes.too_soon = True
    answer = await http.post("/processes/core/restart", headers=ADMIN)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(("wrong", "status"), [(UsageError("nobody keeps it"), 409), (StateError("away"), 503)])
async def test_without_a_supervisor_that_answers_it_is_said(
    http: httpx.AsyncClient, processes: Processes, wrong: Exception, status: int
) -> None:
    processes.wrong = wrong
    for method, path in (("GET", "/processes"), ("POST", "/processes/core/restart")):
        answer = await http.request(method, path, headers=ADMIN)
        assert (answer.status_code, answer.json()["detail"]) == (status, str(wrong))


# ---------------------------------------------------------------------- faults


async def test_faults_are_listed_armed_and_ended(http: httpx.AsyncClient, exchanges: Exchanges) -> None:
    wanted = {"fault": "drop", "count": 3, "line": "A"}
    armed = await http.post("/faults/XNAS", json=wanted, headers=ADMIN)
    assert (armed.status_code, armed.json()["armed"]) == (200, [{**wanted, "fired": 0, "left": 3, "left_s": None}])
    listed = (await http.get("/faults", headers=ADMIN)).json()
    assert listed["venues"]["XNAS"] == armed.json()
    assert set(listed["verbs"]) == set(VERBS)
    ended = await http.delete("/faults/XNAS", headers=ADMIN)
    assert (ended.status_code, ended.json()["armed"]) == (200, [])
    assert exchanges.gate.state()["armed"] == []


@pytest.mark.parametrize(
    ("venue", "body", "answered"),
    [
        ("XLON", b'{"fault":"drop"}', (404, "there are: XNAS")),
        ("XNAS", b'{"fault":"explode"}', (422, "explode")),
        ("XNAS", b'{"fault":"drop","often":true}', (422, "often")),
        ("XNAS", b'{"fault":"drop","count":0}', (422, "count")),
        ("XNAS", b'{"fault":"drop","line":"C"}', (422, "expected a line of A, found C; nothing armed")),
        ("XNAS", b'{"fault":"restart","count":1}', (422, "expected parameters of none, found count")),
        ("XNAS", b"\xff", (422, "expected")),
        ("XNAS", b"", (422, "expected")),
        ("XNAS", b'{"line":"' + b"A" * BODY_MAX + b'"}', (413, "4096 bytes")),
    ],
)
async def test_a_fault_that_makes_no_sense_is_a_problem(
    http: httpx.AsyncClient, exchanges: Exchanges, venue: str, body: bytes, answered: tuple[int, str]
) -> None:
    status, said = answered
    answer = await http.post(f"/faults/{venue}", content=body, headers=ADMIN)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert exchanges.gate.state()["armed"] == []


async def test_real_venues_have_no_faults(http: httpx.AsyncClient, exchanges: Exchanges) -> None:
    exchanges.simulated = False
    for method, path in (("GET", "/faults"), ("POST", "/faults/XNAS"), ("DELETE", "/faults/XNAS")):
        answer = await http.request(method, path, content=b'{"fault":"drop"}', headers=ADMIN)
        assert answer.status_code == 409
        assert "read real venues" in answer.json()["detail"]


async def test_exchanges_that_are_away_are_said_to_be(http: httpx.AsyncClient, exchanges: Exchanges) -> None:
    exchanges.wrong = StateError("the simulated exchanges do not answer")
    for method, path in (("GET", "/faults"), ("POST", "/faults/XNAS"), ("DELETE", "/faults/XNAS")):
        answer = await http.request(method, path, content=b'{"fault":"drop"}', headers=ADMIN)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# ---------------------------------------------------------------------- who may, and what is noted


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_without_the_scope_nothing_is_done(
    http: httpx.AsyncClient, processes: Processes, exchanges: Exchanges, method: str, path: str
) -> None:
    for headers in (READER, PART):
        answer = await http.request(method, path, content=b'{"fault":"drop"}', headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (403, "not_entitled")
    for headers in ({}, {"authorization": "Bearer x"}):
        answer = await http.request(method, path, content=b'{"fault":"drop"}', headers=headers)
        assert answer.status_code == 401
    answer = await http.request(method, f"{path}?token={TOKEN}", content=b'{"fault":"drop"}')
    assert answer.status_code == 401, "never from an address"
    assert (processes.restarted, exchanges.gate.state()["armed"]) == ([], [])


@pytest.mark.parametrize("path", ["/processes", "/faults"])
async def test_lists_are_for_who_sees_everything(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path, headers=READER)).status_code == 200
    assert (await http.get(path, headers=PART)).status_code == 403
    assert (await http.get(path)).status_code == 401


async def test_where_anybody_may_look_nobody_changes_without_a_key(
    gateway: RunningGateway, processes: Processes, exchanges: Exchanges
) -> None:
    async with client(gateway, Config(), processes, exchanges) as http:
        for method, path in CHANGES:
            answer = await http.request(method, path, content=b'{"fault":"drop"}')
            assert (answer.status_code, "tickcast keys add" in answer.json()["detail"]) == (401, True)
        assert (await http.get("/faults")).status_code == 200
    assert (processes.restarted, exchanges.gate.state()["armed"]) == ([], [])


async def test_every_use_is_noted_without_what_was_shown(http: httpx.AsyncClient) -> None:
    with audited() as lines:
        await http.post("/processes/xnas/restart", headers=ADMIN)
        await http.post("/processes/nobody/restart", headers=ADMIN)
        await http.post("/faults/XNAS", json={"fault": "drop", "count": 3}, headers=ADMIN)
        await http.post("/faults/XNAS", json={"fault": "explode"}, headers=ADMIN)
        await http.delete("/faults/XNAS", headers=ADMIN)
        await http.delete("/faults/XNAS", headers=READER)
        await http.delete("/faults/XNAS")
    noted = [line for line in lines if line["event"] == "change"]
    assert [(line["what"], line["by"], line["status"]) for line in noted] == [
        ("restart", "jwt:ann", 202),
        ("restart", "jwt:ann", 404),
        ("fault", "jwt:ann", 200),
        ("fault", "jwt:ann", 422),
        ("faults_end", "jwt:ann", 200),
        ("faults_end", "jwt:ann", 403),
    ], "who shows nothing fills no log"
    assert (noted[2]["venue"], noted[2]["fault"], noted[2]["count"]) == ("XNAS", "drop", 3)
    assert {line["credential"] for line in noted} == {"jwt:secret"}
    assert TOKEN not in str(lines)


async def test_commands_of_this_machine_need_no_scope(
    gateway: RunningGateway, config: Config, processes: Processes, exchanges: Exchanges
) -> None:
    async with client(gateway, config, processes, exchanges, is_local=True) as http:
        with audited() as lines:
            assert (await http.post("/processes/core/restart")).status_code == 202
    assert processes.restarted == [("core", "this machine")]
    assert [line["by"] for line in lines if line["event"] == "change"] == ["this machine"]


async def test_what_an_address_can_do_is_told(http: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("/processes/xnas/restart", "POST"),
        ("/faults/XNAS", "DELETE, POST"),
        ("/faults", "GET, HEAD"),
    ):
        answer = await http.put(path, headers=ADMIN)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
