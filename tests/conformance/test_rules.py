"""Every declared venue with a voice, under every rule."""

import pytest

from tickcast.sim.crypto.okx import SummedOkxVoice
from tickcast.testing.conformance import suite


@pytest.mark.parametrize("code", suite.covered())
@pytest.mark.parametrize("rule", list(suite.BY_NAME))
def test_rule(code: str, rule: str) -> None:
    if not suite.check(code, rule):
        pytest.skip(f"{code} has nothing that {rule} spoils")


@pytest.mark.parametrize("rule", ["clean", "drop", "checksum", "restart"])
def test_rule_where_okx_has_checksums_as_it_had(rule: str) -> None:
    assert suite.check("OKX", rule, own_voice=SummedOkxVoice)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("code", suite.covered())
def test_mix(code: str, seed: int) -> None:
    suite.check_mix(code, seed=seed)
