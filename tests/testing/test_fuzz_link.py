"""The fuzzer of the link itself: it does damage, both sides notice, and both end at the same place."""

from tickcast.testing.fuzz_link import fuzz_link


def test_both_sides_refuse_damage_and_end_where_the_owner_is() -> None:
    found = fuzz_link(seconds=2, seed=1)
    assert found.rounds > 3
    assert found.damaged > found.rounds
    assert found.refused["owner"] > 0
    assert found.refused["worker"] > 0
