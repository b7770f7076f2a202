"""The health state machine on a made-up clock."""

from tickcast.feeds.health import SECOND_NS, HealthTracker

START = 1_700_000_000 * SECOND_NS


def tracker() -> HealthTracker:
    return HealthTracker(name="xnas", venue="XNAS", pid=7, now_ns=START, quiet_after_s=2, stale_after_s=5)


def state(health: HealthTracker) -> str:
    return health.state


def at(seconds: float) -> int:
    return START + round(seconds * SECOND_NS)


def test_messages_make_it_connected_and_heartbeats_keep_it_quiet() -> None:
    health = tracker()
    assert state(health) == "starting"
    health.opened("tape", at(0.1))
    health.took(3, at(0.2))
    assert health.evaluate(at(0.25))
    assert state(health) == "connected"
    for second in range(1, 20):  # heartbeats only
        health.alive(at(second))
        health.evaluate(at(second))
    assert state(health) == "quiet"
    assert health.report().since_ns == at(3)
    assert health.report().last_message_ns == at(0.2)
    health.took(1, at(20))
    assert health.evaluate(at(20.1))
    assert state(health) == "connected"


def test_silence_is_stale_and_a_heartbeat_ends_it() -> None:
    health = tracker()
    health.opened("tape", at(0))
    health.took(1, at(0))
    health.evaluate(at(0.5))
    assert not health.evaluate(at(1.9))
    assert health.evaluate(at(2))
    assert state(health) == "quiet"
    assert health.evaluate(at(5))
    assert state(health) == "stale"
    health.alive(at(6))
    health.evaluate(at(6.1))
    assert state(health) == "quiet"


def test_a_venue_that_is_never_reached_is_starting_then_stale() -> None:
    health = tracker()
    health.closed("tape", "cannot connect")
    health.evaluate(at(4.9))
    assert state(health) == "starting"
    health.evaluate(at(5))
    assert state(health) == "stale"
    assert health.report().last_error == "cannot connect"
    assert health.report().connections == 0


def test_refused_for_good_stays_failed_until_messages_come() -> None:
    health = tracker()
    health.opened("tape", at(0))
    health.refused("login rejected", at(0.1))
    health.closed("tape", "login rejected")
    assert not health.evaluate(at(30))
    assert state(health) == "failed"
    health.opened("tape", at(60))
    health.took(1, at(60.1))
    assert state(health) == "connected"
    assert health.reconnects == 1


def test_a_link_that_stays_open_after_a_refusal_was_let_in() -> None:
    health = tracker()
    health.opened("tape", at(0))
    health.refused("login rejected", at(0.1))
    health.closed("tape", "login rejected")
    health.opened("tape", at(60))
    health.alive(at(62))
    assert health.evaluate(at(62.5))
    assert state(health) == "quiet"


def test_rate_is_that_of_the_last_seconds() -> None:
    health = tracker()
    health.opened("tape", at(0))
    for tick in range(1, 81):
        health.took(25 if tick <= 40 else 250, at(tick / 4))
        health.evaluate(at(tick / 4))
    assert 990 <= health.report().rate <= 1010
    assert health.report().messages == 40 * 25 + 40 * 250


def test_counters_of_others_are_passed_on() -> None:
    health = tracker()
    health.dead_letters = 2
    report = health.report(gaps=4, dead_letters=3, dropped=5)
    assert (report.gaps, report.dead_letters, report.dropped) == (4, 5, 5)


def test_stopped_is_the_end() -> None:
    health = tracker()
    health.stopped(at(1))
    assert not health.evaluate(at(100))
    assert health.report().state == "stopped"


def test_a_feed_that_has_nothing_to_stream_is_quiet_and_not_stale() -> None:
    health = tracker()
    health.is_idle = True
    health.evaluate(at(3))
    assert state(health) == "quiet"
    health.evaluate(at(60))
    assert state(health) == "quiet"
    health.is_idle = False
    health.evaluate(at(66))
    assert state(health) == "stale"


def test_a_link_that_was_left_is_no_error_and_no_reconnect() -> None:
    health = tracker()
    health.opened("tape", at(0))
    health.left("tape")
    assert (health.report().connections, health.last_error) == (0, None)
    health.opened("tape", at(1))
    assert health.reconnects == 0
