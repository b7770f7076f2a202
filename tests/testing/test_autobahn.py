"""What is told of the suite's verdicts."""

from tickcast.testing.autobahn import broken, summary

GOOD = {"behavior": "OK", "behaviorClose": "OK"}


def test_cases_are_counted_by_family_and_all_that_is_not_fine_is_named() -> None:
    verdicts = {
        "1.1.1": GOOD,
        "10.1.1": GOOD,
        "6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
        "7.3.2": {"behavior": "OK", "behaviorClose": "FAILED BY CLIENT"},
        "7.13.1": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"},
    }
    assert [number for number, _ in broken(verdicts)] == ["6.4.1", "7.3.2"]
    assert summary(verdicts).splitlines() == [
        "family  1: 1 OK",
        "family  6: 1 NON-STRICT",
        "family  7: 1 INFORMATIONAL, 1 OK",
        "family 10: 1 OK",
        "6.4.1: NON-STRICT, close OK",
        "7.3.2: OK, close FAILED BY CLIENT",
        "5 cases: 1 INFORMATIONAL, 1 NON-STRICT, 3 OK",
    ]
