import asyncio
import os
import sys
from pathlib import Path

import pytest

from tickcast.ops.config import SupervisorConfig
from tickcast.ops.logfile import LogFile
from tickcast.ops.process import Child, RestartPolicy, describe_exit, last_complaint


def test_delays_double_up_to_the_longest_and_start_anew_after_a_healthy_time() -> None:
    policy = RestartPolicy(SupervisorConfig())
    assert [policy.died(0) for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    assert policy.died(59.9) == 30.0
    assert policy.died(60) == 0.2
    assert [policy.died(1) for _ in range(2000)][-1] == 30.0
    policy.forget()
    assert policy.died(0) == 0.2


def test_a_loop_is_called_one_from_the_third_death_on() -> None:
    policy = RestartPolicy(SupervisorConfig())
    seen = []
    for _ in range(4):
        policy.died(0)
        seen.append(policy.looping)
    assert seen == [False, False, True, True]


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_describe_exit(status: int, text: str) -> None:
    assert describe_exit(status) == text


async def spawn(tmp_path: Path, program: str, **environment: str) -> Child:
    log = LogFile(tmp_path / "a.log", bytes_max=1_000_000, keep=0)
    return await Child.spawn([sys.executable, "-c", program], name="a", environment=environment, log=log)


async def test_what_a_child_says(tmp_path: Path) -> None:
    child = await spawn(
        tmp_path,
        "import os, sys\n"
        "print('early'); print('{\"ready\":false}'); print('{broken'); print('[1]')\n"
        'print(\'{"ready":true,"port":7,"who":"\' + os.environ[\'WHO\'] + \'"}\')\n'
        "print('{\"ready\":true,\"port\":8}'); sys.stdout.write('no end'); sys.exit(3)",
        WHO="me",
    )
    assert await asyncio.wait_for(asyncio.shield(child.ready), 20) == {"port": 7, "who": "me"}
    assert await child.wait() == 3
    assert (tmp_path / "a.log").read_text().splitlines() == [
        "early", '{"ready":false}', "{broken", "[1]", '{"ready":true,"port":8}', "no end",
    ]  # fmt: skip


async def test_a_line_without_end_is_cut_and_nothing_is_lost(tmp_path: Path) -> None:
    child = await spawn(tmp_path, "import sys; sys.stderr.write('x' * 500_000); print('end')")
    assert await child.wait() == 0
    text = (tmp_path / "a.log").read_text()
    assert text.count("x") == 500_000
    assert max(map(len, text.splitlines())) <= 3 * 65_536


async def test_the_message_is_what_is_addressed_to_the_user(tmp_path: Path) -> None:
    child = await spawn(tmp_path, "import sys; sys.exit('log line\\ntickcast: expected this\\ntickcast: and that')")
    await child.wait()
    assert child.message == "expected this\nand that"
    child = await spawn(tmp_path, "import sys; sys.exit('\\n'.join('1234567'))")
    await child.wait()
    assert child.message == "7"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], ""),
        (['{"event":"link open","level":"info"}'], ""),
        (['{"event":"slow","level":"warning"}', "\x1b[2m2026\x1b[0m [\x1b[32minfo     \x1b[0m] ready"], ""),
        (["Traceback (most recent call last):", "  File x", "OSError: no", "", '{"level":"info"}'], "OSError: no"),
        (["plain text", '{"event":"ready","level":"info"}'], "plain text"),
        (['{"event":"failed","level":"error","error":"disk full"}'], "failed: disk full"),
        (
            ['{"event":"failed","level":"critical","exception":"Traceback\\n  x\\nKeyError: 1\\n"}'],
            "failed: KeyError: 1",
        ),
        (['{"event":"failed","level":"error"}'], "failed"),
        (["{broken"], "{broken"),
    ],
)
def test_the_last_complaint_is_one_line_and_never_what_was_merely_logged(lines: list[str], complaint: str) -> None:
    assert last_complaint(lines) == complaint


async def test_a_child_is_in_a_session_of_its_own_and_can_be_killed_twice(tmp_path: Path) -> None:
    child = await spawn(tmp_path, "import time; print('{\"ready\":true}', flush=True); time.sleep(60)")
    await asyncio.wait_for(asyncio.shield(child.ready), 20)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.kill()
    assert await child.wait() == -9
    child.kill()
    child.terminate()
