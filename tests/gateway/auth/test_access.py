import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.gateway.auth.access import ANYONE, PATTERNS_MAX, Access, Scope, scope_of


def access(*symbols: str, **scope: object) -> Access:
    return Access(subject="key:ann", scope=scope_of({"symbols": list(symbols), **scope}))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*", ["AAPL", "XNAS:AAPL", "", "NOPE:NOPE"], []),
        ("AAPL", ["AAPL"], ["XNAS:AAPL", "AAPLX", "aapl", ""]),
        ("XNAS:AAPL", ["XNAS:AAPL"], ["AAPL", "XNAS:AAPLX", "XXNAS:AAPL"]),
        ("XNAS:*", ["XNAS:AAPL", "XNAS:"], ["XNASX:AAPL", "AAPL", "XNAS"]),
        ("A*", ["A", "AAPL"], ["AMEX:FOO", "BA"]),
        ("*:BTC-USDT", ["OKX:BTC-USDT"], ["OKX:BTC-USDC", "BTC-USDT"]),
        ("BINANCE:*-USDT", ["BINANCE:BTC-USDT", "BINANCE:-USDT"], ["BINANCE:USDT", "OKX:BTC-USDT", "BINANCE:A:-USDT"]),
        ("XN*:A*L", ["XNAS:AL", "XN:APPL"], ["XA:AL", "XNAS:A"]),
    ],
)
def test_a_pattern_is_what_it_says(pattern: str, inside: list[str], outside: list[str]) -> None:
    found = access(pattern)
    assert [name for name in inside if not found.may_see(name)] == []
    assert [name for name in outside if found.may_see(name)] == []
    assert found.seen([*inside, *outside]) == inside


side = st.text(alphabet="AB*", min_size=1, max_size=4).filter(lambda text: text.count("*") <= 1)
patterns = st.one_of(side, st.tuples(side, side).map(":".join))
names = st.one_of(st.text(alphabet="AB", min_size=1, max_size=4), st.from_regex(r"[AB]{1,3}:[AB]{1,4}", fullmatch=True))


@given(st.lists(patterns, max_size=4), names)
def test_matching_is_that_of_a_plain_reference(scope: list[str], name: str) -> None:
    def fits(pattern: str) -> bool:
        if pattern == "*":
            return True
        whole, parts = pattern.split(":"), name.split(":")
        return len(whole) == len(parts) and all(
            re.fullmatch(fnmatch.translate(one), part) for one, part in zip(whole, parts, strict=True)
        )

    found = access(*scope)
    assert found.may_see(name) == any(fits(pattern) for pattern in scope)
    venue, colon, _ = name.partition(":")
    if colon and found.may_see(name):
        assert found.may_touch(venue)
        assert found.may_ask(f"{venue}:*")
    if colon and found.sees_all_of(f"{venue}:*"):
        assert found.may_see(name)


@pytest.mark.parametrize("pattern", ["", "A**", "*A*", "A:B:C", ":A", "A:", "A" * 97, "A\n", "XNAS:*A*"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="symbols"):
        scope_of({"symbols": [pattern]})


@pytest.mark.parametrize(
    "raw",
    [
        {"symbols": ["*"], "delyed": True},
        {"symbols": "*"},
        {"symbols": ["A"] * (PATTERNS_MAX + 1)},
        {"channels": ["prices"]},
        {"depth": 20},
        {"rate": 3},
        {"rate": -1},
        {"connections": -1},
        {"admin": "yes"},
        [],
        None,
    ],
)
def test_what_is_not_known_never_widens_a_scope(raw: object) -> None:
    with pytest.raises(ValueError, match=r"[Ee]xpected|unknown|Invalid"):
        scope_of(raw)


def test_a_scope_that_says_nothing_sees_nothing() -> None:
    found = Access(scope=Scope())
    assert not found.may_see("AAPL")
    assert not found.sees_everything
    assert not found.may_touch("XNAS")
    assert not found.scope.admin


def test_limits_fall_to_what_is_allowed() -> None:
    free, limited = access("*"), access("*", rate=5, depth=10)
    assert [free.rate(asked) for asked in (0, 1, 20)] == [0, 1, 20]
    assert [limited.rate(asked) for asked in (0, 1, 5, 20)] == [5, 1, 5, 5]
    assert [limited.depth(asked) for asked in (5, 10, 50)] == [5, 10, 10]


def test_news_is_told_of_what_may_be_seen() -> None:
    part = access("XNAS:AAPL", "XNAS:MSFT", "OKX:*")
    assert part.may_know("XNAS")
    assert part.may_know("XNAS", ["XNAS:AAPL"], 1)
    assert not part.may_know("XNAS", ["XNAS:AAPL", "XNAS:IBM"], 2)
    assert not part.may_know("XNAS", ["XNAS:AAPL"], 150)
    assert part.may_know("OKX", ["OKX:X"], 150)
    assert not part.may_know("BINANCE")
    assert not access("*", channels=["price"]).may_know("XNAS")


def test_anyone_sees_everything_and_changes_nothing() -> None:
    assert ANYONE.sees_everything
    assert ANYONE.is_anonymous
    assert not ANYONE.scope.admin
    assert not ANYONE.is_over(1 << 62)
