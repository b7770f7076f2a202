"""Signs that a venue changes, as the shell of a feed counts and tells them."""

from tickcast.feeds.canaries import AGAIN_NS, DEAD_LEAST, MINUTE_NS, SIGNS_MAX, Canaries
from tickcast.model.health import SAMPLE_MAX

NOW = 1_790_000_000_000_000_000


def test_a_sign_is_told_once_a_day_and_counted_always() -> None:
    canaries = Canaries()
    told = [canaries.saw("address", "http://a", "it redirects", b"body", NOW + place) for place in range(3)]
    assert [one.reason for one in told if one is not None] == ["it redirects"]
    assert told[0] is not None
    assert (told[0].kind, told[0].scope) == ("drift", "venue")
    again = canaries.saw("address", "http://a", "it redirects", b"other", NOW + AGAIN_NS)
    assert again is not None
    (seen,) = canaries.told()
    assert (seen.what, seen.name, seen.count, seen.sample) == ("address", "http://a", 4, "body")


def test_signs_and_samples_are_bounded() -> None:
    canaries = Canaries()
    for place in range(SIGNS_MAX + 5):
        canaries.saw("address", f"http://{place}", "gone", b"x" * 10_000, NOW)
    assert len(canaries.told()) == SIGNS_MAX
    assert all(len(one.sample) <= 2 * SAMPLE_MAX for one in canaries.told())


def test_dead_letters_at_a_rate_that_is_no_accident() -> None:
    canaries = Canaries()
    assert canaries.look(0, NOW) is None
    canaries.buried(DEAD_LEAST, "expected a price", b'{"p":"x"}')
    canaries.buried(5, "another", b"{}")
    assert canaries.look(1000, NOW + MINUTE_NS - 1) is None, "not a minute yet"
    told = canaries.look(1000, NOW + MINUTE_NS)
    assert told is not None
    assert "15 of 1000 messages" in told.reason
    assert "expected a price" in told.reason
    (seen,) = canaries.told()
    assert (seen.what, seen.sample) == ("dead letters", '{"p":"x"}')


def test_few_dead_letters_are_an_accident() -> None:
    canaries = Canaries()
    canaries.look(0, NOW)
    canaries.buried(DEAD_LEAST - 1, "few", b"")
    assert canaries.look(10, NOW + MINUTE_NS) is None
    canaries.buried(DEAD_LEAST, "of many", b"")
    assert canaries.look(10 + 100 * DEAD_LEAST + 1, NOW + 2 * MINUTE_NS) is None
    assert canaries.told() == []
