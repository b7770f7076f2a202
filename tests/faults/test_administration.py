"""Faults and restarts over REST at the workers of a real instance."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tickcast.testing.instance import DemoInstance, eventually

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    folder = tmp_path_factory.mktemp("administration")
    with DemoInstance(folder, "--gateways", "2", rate=200, symbols=10, exchanges=("XNAS", "XSIM")) as started:
        started.wait_ready()
        yield started


def key(instance: DemoInstance, name: str, *options: str) -> dict[str, str]:
    """Headers of a new API key."""
    done = instance.cli("keys", "add", name, *options)
    assert done.returncode == 0, done.stderr
    return {"x-api-key": done.stdout.split()[0]}


@pytest.fixture(scope="module")
def operator(instance: DemoInstance) -> dict[str, str]:
    return key(instance, "operator", "--admin")


def ask(instance: DemoInstance, method: str, path: str, **settings: Any) -> httpx.Response:
    """Ask on a connection of its own: any worker may have it."""
    return httpx.request(method, instance.url + path, timeout=DEADLINE_S, **settings)


def restarted(instance: DemoInstance, name: str, operator: dict[str, str]) -> str:
    """Restart a process and wait until it is another one; returns what clients are said to see."""
    before = instance.pid(name)
    answer = ask(instance, "POST", f"/processes/{name}/restart", headers=operator)
    assert (answer.status_code, answer.json()["pid"]) == (202, before), answer.text

    def is_another() -> bool:
        row = instance.ps()[name]
        return bool(row["state"] == "running" and row["pid"] != before)

    eventually(is_another, deadline_s=DEADLINE_S, what=f"{name} runs again")
    clients: str = answer.json()["clients"]
    return clients


def test_faults_are_made_and_ended_at_any_worker(instance: DemoInstance, operator: dict[str, str]) -> None:
    reader = key(instance, "reader", "--symbols", "*")
    assert ask(instance, "POST", "/faults/XSIM", json={"fault": "throttle"}).status_code == 401
    assert ask(instance, "POST", "/faults/XSIM", json={"fault": "throttle"}, headers=reader).status_code == 403
    for _ in range(4):
        armed = ask(instance, "POST", "/faults/XSIM", json={"fault": "throttle", "count": 1_000}, headers=operator)
        assert (armed.status_code, [one["fault"] for one in armed.json()["armed"]]) == (200, ["throttle"])
        assert "throttle (" in instance.cli("sim", "fault", "--list").stdout, "the command line sees the same"
        ended = ask(instance, "DELETE", "/faults/XSIM", headers=operator)
        assert (ended.status_code, ended.json()["armed"]) == (200, [])
    assert ask(instance, "POST", "/faults/XNYS", json={"fault": "drop"}, headers=operator).status_code == 404


def test_a_feed_a_worker_and_the_core_are_restarted(instance: DemoInstance, operator: dict[str, str]) -> None:
    assert "are stale until the feed is live again" in restarted(instance, "xnas", operator)
    for worker in ("gateway1", "gateway2"):  # one of them answers for its own end
        assert "the other workers take them" in restarted(instance, worker, operator)
    assert "connections stay" in restarted(instance, "core", operator)
    instance.wait_ready()
    assert ask(instance, "GET", "/processes").status_code == 200


def test_what_was_done_is_in_the_log_and_no_key(instance: DemoInstance, operator: dict[str, str]) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in Path(instance.data, "logs").iterdir()}
    lines = [json.loads(line) for line in logs["core.log"].splitlines() if line.startswith("{")]
    noted = {(line["what"], line["by"], line["status"]) for line in lines if line.get("event") == "change"}
    assert noted >= {
        ("restart", "key:operator", 202),
        ("fault", "key:operator", 200),
        ("fault", "key:reader", 403),
        ("faults_end", "key:operator", 200),
    }
    assert not [name for name, text in logs.items() if operator["x-api-key"] in text]


async def test_two_restarts_at_once_are_one(instance: DemoInstance, operator: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=instance.url, timeout=DEADLINE_S, headers=operator) as http:
        answers = await asyncio.gather(*(http.post("/processes/xsim/restart") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 429, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 10
