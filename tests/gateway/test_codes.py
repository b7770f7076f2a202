from pathlib import Path

import pytest

from tickcast.gateway.codes import CloseCode, ErrorCode

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", [*ErrorCode, *CloseCode])
def test_every_code_stands_in_the_protocol_document(code: ErrorCode | CloseCode) -> None:
    assert f"| {int(code)} | {code.meaning} |" in PROTOCOL


def test_ranges_tell_retry_or_stop() -> None:
    assert all(4000 <= code < 4300 or 4500 <= code < 4600 for code in ErrorCode)
    assert all(code in {1000, 1002, 1007, 1009} or 4700 <= code < 4900 for code in CloseCode)
