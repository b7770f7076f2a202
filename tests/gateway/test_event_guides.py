"""The programs in the guides to events and polls run as they stand, and print prices."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tickcast.testing.gateway import running_gateway

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"
DEADLINE_S = 30.0


@pytest.mark.parametrize(
    ("guide", "expected"),
    [
        ("use-server-sent-events.md", "snapshot {'type': 'snapshot', 'symbol': 'AAPL'"),
        ("poll-for-prices.md", "AAPL 185.4"),
    ],
)
async def test_the_program_of_a_guide(guide: str, expected: str) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", (GUIDES / guide).read_text(), re.MULTILINE | re.DOTALL)
    async with running_gateway() as gateway:
        gateway.trade("XNAS:AAPL", "185.40")
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            "-c",
            program.replace("http://127.0.0.1:8000", gateway.url),
            stdout=asyncio.subprocess.PIPE,
        )
        assert running.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            line = ""
            while not line.startswith(expected):
                line = (await running.stdout.readline()).decode()
                assert line, "the program ended"
            gateway.trade("XNAS:AAPL", "186.40")
            while "186.4" not in line:
                line = (await running.stdout.readline()).decode()
                assert line, "the program ended"
        running.terminate()
        await running.communicate()
