"""The programs in the how-to guides work."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tickcast.testing.instance import DemoInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def program(guide: str, **replaced: str) -> dict[str, Any]:
    """Names that the first Python block of a guide defines."""
    text = re.findall(
        r"^```python\n(.*?)^```$", (GUIDES / guide).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[0]
    for old, new in replaced.items():
        text = text.replace(
            {
                "address": "ws://127.0.0.1:8000/stream",
                "url": "http://127.0.0.1:8000",
                "start": "\nasyncio.run(main())\n",
            }[old],
            new,
        )
    names: dict[str, Any] = {}
    exec(compile(text, guide, "exec"), names)  # noqa: S102  our own page
    return names


def test_the_test_of_an_instance(tmp_path: Path) -> None:
    program("test-against-simulated-exchanges.md")["test_my_program"](tmp_path)


async def test_the_least_client(instance: DemoInstance, capsys: pytest.CaptureFixture[str]) -> None:
    client = program("write-a-client.md", address=instance.stream_url, start="")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client["main"](), 5)
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"AAPL", "XNAS:MSFT"}
    assert lines[-1].endswith(" live")


async def test_the_recipes_for_the_python_client(instance: DemoInstance) -> None:
    recipes = program("use-the-python-client.md", url=instance.url)
    async with asyncio.timeout(120):
        assert (await recipes["spread"]()).state == "live"
        seen = await recipes["functions"](8)
        assert seen["Tick"] >= 8
        assert 0 < seen["AAPL"] < seen["Tick"]
        assert (await recipes["table"](5)).height >= 5
        assert await asyncio.to_thread(recipes["without_asyncio"]) != ""
