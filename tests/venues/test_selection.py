"""Which symbols a feed streams: the config's, then each change behind it, the newest first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.model.errors import UsageError
from tickcast.venues.selection import RULES_MAX, Rule, Selection, own_symbols

NAMES = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USD-PERP")
PATTERNS = ("BTC-*", "*-USDT", "*")


def streamed(selection: Selection) -> list[str]:
    return [name for name in NAMES if selection.standing(name) == "streamed"]


def test_without_symbols_all_are_streamed_and_on_demand_none() -> None:
    assert streamed(Selection(())) == list(NAMES)
    assert [Selection((), on_demand=True).standing(name) for name in NAMES] == ["known"] * 4


def test_symbols_and_patterns_of_the_config() -> None:
    assert streamed(Selection(("ETH-USDT", "BTC-*"))) == ["BTC-USDT", "ETH-USDT", "BTC-USD-PERP"]
    chosen = Selection(("ETH-USDT",), on_demand=True)
    assert [chosen.standing(name) for name in NAMES] == ["known", "streamed", "known", "known"]
    assert chosen.named() == {"ETH-USDT"}


def test_the_newest_change_that_fits_decides() -> None:
    chosen = Selection(("BTC-USDT",))
    chosen.add(["*-USDT"])
    assert streamed(chosen) == ["BTC-USDT", "ETH-USDT", "SOL-USDT"]
    chosen.drop(["ETH-USDT"])
    assert streamed(chosen) == ["BTC-USDT", "SOL-USDT"]
    chosen.drop(["*"])
    assert streamed(chosen) == []
    chosen.add(["ETH-USDT"])
    assert streamed(chosen) == ["ETH-USDT"]
    assert chosen.origin("ETH-USDT") == "added"


def test_what_changes_nothing_is_not_kept() -> None:
    chosen = Selection(("BTC-USDT",))
    chosen.add(["BTC-USDT"])
    chosen.drop(["SOL-USDT"])
    assert chosen.rules == []
    chosen.add(["SOL-USDT"])
    chosen.drop(["SOL-USDT"])
    assert chosen.rules == []
    chosen.drop(["BTC-USDT"])
    chosen.add(["BTC-USDT"])
    assert chosen.rules == []


def test_dropping_what_was_added_leaves_it_as_it_was() -> None:
    chosen = Selection((), on_demand=True)
    chosen.add(["BTC-USDT"])
    chosen.drop(["BTC-USDT"])
    assert chosen.standing("BTC-USDT") == "known"
    chosen.drop(["BTC-USDT"])
    assert chosen.standing("BTC-USDT") == "passed", "dropped outright: not on demand either"
    chosen.add(["BTC-USDT"])
    assert chosen.standing("BTC-USDT") == "streamed"


def test_a_new_config_takes_changes_in_that_it_says_itself() -> None:
    chosen = Selection(("BTC-USDT", "ETH-USDT"))
    chosen.add(["SOL-USDT"])
    chosen.drop(["ETH-USDT"])
    chosen.base = ("BTC-USDT", "SOL-USDT")
    assert chosen.rules == []
    assert streamed(chosen) == ["BTC-USDT", "SOL-USDT"]
    chosen.base = ("BTC-USDT", "ETH-USDT")
    assert streamed(chosen) == ["BTC-USDT", "ETH-USDT"]


def test_changes_outlive_the_process() -> None:
    chosen = Selection(("BTC-USDT",))
    chosen.add(["*-USDT"])
    chosen.drop(["ETH-USDT"])
    again = Selection(("BTC-USDT",))
    again.restore(chosen.rules)
    assert (again.rules, streamed(again)) == (chosen.rules, streamed(chosen))


def test_there_is_an_end_of_changes() -> None:
    chosen = Selection(("NONE",))
    chosen.check_room(["X"] * RULES_MAX)
    with pytest.raises(UsageError, match="at most 10000 changes"):
        chosen.check_room(["X"] * (RULES_MAX + 1))


@pytest.mark.parametrize("wrong", ["OKX:BTC-USDT", "btc-usdt", "", "BTC USDT", "BINANCE:", "A" * 70 + "*", "\u00e4*"])
def test_symbols_of_others_and_what_is_none_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="nothing is changed"):
        own_symbols([wrong], "BINANCE")


def test_the_own_venue_may_be_named() -> None:
    assert own_symbols(["BINANCE:BTC-USDT", "BTC-USDT", "ETH-*"], "BINANCE") == ["BTC-USDT", "ETH-*"]


@given(
    base=st.lists(st.sampled_from(NAMES + PATTERNS), max_size=3),
    on_demand=st.booleans(),
    changes=st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=8),
)
def test_the_last_word_on_a_symbol_holds(base: list[str], on_demand: bool, changes: list[tuple[bool, str]]) -> None:
    chosen = Selection(tuple(base), on_demand=on_demand)
    for is_added, name in changes:
        (chosen.add if is_added else chosen.drop)([name])
        assert (chosen.standing(name) == "streamed") == is_added
    for name in NAMES:
        if name not in {changed for _, changed in changes}:
            assert chosen.standing(name) == Selection(tuple(base), on_demand=on_demand).standing(name)
    again = Selection(tuple(base), on_demand=on_demand)
    again.restore([Rule(rule.symbol, rule.is_added) for rule in chosen.rules])
    assert [again.standing(name) for name in NAMES] == [chosen.standing(name) for name in NAMES]
