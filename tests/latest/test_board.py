from dataclasses import astuple

from tickcast.latest.board import FeedBoard
from tickcast.model.health import FeedCondition, FeedHealth
from tickcast.model.record import State

S = 1_000_000_000


def health(state: FeedCondition = "connected", *, pid: int = 1, error: str | None = None) -> FeedHealth:
    return FeedHealth(name="xnas", venue="XNAS", state=state, since_ns=5 * S, pid=pid, last_error=error, rate=90.0)


def board() -> FeedBoard:
    return FeedBoard({"xnas": "XNAS"}, silent_ns=5 * S, now_ns=0)


def told(feeds: FeedBoard, now_ns: int) -> list[tuple[str, State, str]]:
    return [astuple(verdict) for verdict in feeds.verdicts(now_ns)]


def test_a_feed_is_stale_until_it_reports_then_live_and_told_once() -> None:
    feeds = board()
    assert told(feeds, 0) == [("xnas", State.STALE, "the feed has not reported yet")]
    feeds.report(health(), S)
    assert told(feeds, S) == [("xnas", State.LIVE, "")]
    assert told(feeds, 2 * S) == []
    feeds.report(health("quiet"), 2 * S)
    assert told(feeds, 2 * S) == [], "quiet is live: its heartbeats come"
    assert feeds.live == 1


def test_silence_of_the_process_is_seen_and_ends_with_a_batch() -> None:
    feeds = board()
    feeds.report(health(), S)
    told(feeds, S)
    assert told(feeds, 6 * S) == []
    assert told(feeds, 6 * S + 1) == [("xnas", State.STALE, "nothing heard of the feed process for 5 s")]
    assert feeds.rows(6 * S + 1)[0]["state"] == "stale"
    feeds.heard("xnas", 7 * S, 1_500_000)
    assert told(feeds, 7 * S) == [("xnas", State.LIVE, "")]
    assert feeds.rows(7 * S)[0]["lag_ms"] == 1.5


def test_a_lost_process_is_stale_at_once_and_counted_when_it_is_back() -> None:
    feeds = board()
    feeds.report(health(pid=10), S)
    told(feeds, S)
    feeds.lost("xnas", "feed process is gone (link closed)", 2 * S)
    assert told(feeds, 2 * S) == [("xnas", State.STALE, "feed process is gone (link closed)")]
    row = feeds.rows(2 * S)[0]
    assert (row["state"], row["restarts"], row["since_ns"]) == ("failed", 0, 2 * S)
    feeds.report(health(pid=11), 3 * S)
    assert told(feeds, 3 * S) == [("xnas", State.LIVE, "")]
    assert feeds.rows(3 * S)[0]["restarts"] == 1


def test_a_stop_that_was_reported_stays_a_stop_when_the_link_ends_and_in_silence() -> None:
    feeds = board()
    feeds.report(health(), S)
    assert feeds.rows(S)[0]["rate"] == 90.0
    told(feeds, S)
    feeds.report(health("stopped", error="connection reset"), 2 * S)
    feeds.lost("xnas", "feed process is gone (link closed)", 2 * S)
    assert told(feeds, 2 * S) == [("xnas", State.STALE, "feed stopped")]
    assert told(feeds, 60 * S) == [], "the silence of a stopped feed is no news"
    row = feeds.rows(60 * S)[0]
    assert (row["state"], row["last_error"], row["rate"], row["since_ns"]) == ("stopped", "feed stopped", 0.0, 5 * S)
    feeds.report(health(pid=2), 61 * S)
    assert told(feeds, 61 * S) == [("xnas", State.LIVE, "")]
    assert feeds.rows(61 * S)[0]["restarts"] == 1


def test_a_feed_that_is_gone_or_silent_has_no_rate() -> None:
    feeds = board()
    feeds.report(health(), S)
    assert feeds.rows(6 * S + 1)[0]["rate"] == 0.0
    feeds.report(health(), 7 * S)
    assert feeds.rows(7 * S)[0]["rate"] == 90.0
    feeds.lost("xnas", "feed process is gone (link closed)", 8 * S)
    assert (feeds.rows(8 * S)[0]["state"], feeds.rows(8 * S)[0]["rate"]) == ("failed", 0.0)


def test_the_reason_of_a_failed_feed_is_its_error() -> None:
    feeds = board()
    feeds.report(health("failed", error="login refused: no such user"), S)
    assert told(feeds, S) == [("xnas", State.STALE, "feed failed: login refused: no such user")]
    assert feeds.rows(S)[0]["last_error"] == "login refused: no such user"


def test_a_feed_that_the_config_does_not_know_is_taken_in() -> None:
    feeds = board()
    feeds.report(FeedHealth(name="new", venue="V", state="connected", since_ns=1, pid=3), S)
    assert len(feeds) == 2
    assert {row["name"] for row in feeds.rows(S)} == {"xnas", "new"}
