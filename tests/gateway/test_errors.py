"""Every refusal leads to a page that says what it means."""

import re
from pathlib import Path

import httpx
import pytest

from tickcast.gateway import errors
from tickcast.gateway.codes import CloseCode, ErrorCode
from tickcast.gateway.config import Config
from tickcast.gateway.problem import problem
from tickcast.testing.gateway import running_gateway

SOURCES = Path(errors.__file__).parent


async def test_an_error_links_to_its_place_on_the_gateways_own_page() -> None:
    async with running_gateway(Config(port=0)) as running, httpx.AsyncClient(base_url=running.url) as http:
        refused = await http.get("/nothing/here")
        assert refused.json()["type"] == "/docs/errors#404"
        page = await http.get(refused.json()["type"])
        assert page.headers["content-type"].startswith("text/html")
        for code in (*errors.STATUSES, *map(int, ErrorCode), *map(int, CloseCode)):
            assert f'<tr id="{code}">' in page.text


def test_every_status_that_is_answered_is_explained() -> None:
    pattern = re.compile(
        r"(?:refusal|Rejected|problem|answer|_end|HTTPException|refuse)\(\s*(?:status_code=)?([45]\d\d)\b"
    )
    answered = {int(found) for path in SOURCES.rglob("*.py") for found in pattern.findall(path.read_text("utf-8"))}
    assert len(answered) > 5
    assert answered <= set(errors.STATUSES)


@pytest.mark.parametrize("code", [*ErrorCode, *CloseCode])
def test_every_code_has_an_advice(code: int) -> None:
    assert errors.advice(code)


def test_what_stands_between_backticks_is_code_and_nothing_is_markup() -> None:
    assert "<code>action</code> is missing" in errors.page()
    assert "`" not in errors.page()
    assert b'"type":"/docs/errors#503"' in problem(503, "<b>away</b>")
