"""Every declared venue with a voice, under every rule."""

import pytest

from tickcast.sim.crypto.okx import SummedOkxVoice
from tickcast.testing.conformance import suite
from tickcast.testing.conformance.rules import RULES

pytestmark = pytest.mark.timeout(300)  # a quiet night is twenty seconds of CPU, a mix of deep books five


@pytest.mark.parametrize("code", suite.covered())
@pytest.mark.parametrize("rule", list(suite.BY_NAME))
def test_rule(code: str, rule: str) -> None:
    if not suite.check(code, rule):
        pytest.skip(f"{code} has nothing that {rule} spoils")


@pytest.mark.parametrize("rule", ["clean", "drop", "checksum", "restart"])
def test_rule_where_okx_has_checksums_as_it_had(rule: str) -> None:
    assert suite.check("OKX", rule, own_voice=SummedOkxVoice)


DEEP = 200
"""Levels that Bitstamp tells by differences only, which nothing numbers."""


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_rule_where_books_of_bitstamp_are_deep(rule: str) -> None:
    if not suite.check("BITSTAMP", rule, depth=DEEP):
        pytest.skip(f"deep books of BITSTAMP have nothing that {rule} spoils")


@pytest.mark.parametrize("seed", range(3))
def test_mix_where_books_of_bitstamp_are_deep(seed: int) -> None:
    suite.check_mix("BITSTAMP", seed=seed, depth=DEEP)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("code", suite.covered())
def test_mix(code: str, seed: int) -> None:
    suite.check_mix(code, seed=seed)
