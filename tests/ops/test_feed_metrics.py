"""The rows of the feed board become metrics."""

from prometheus_client import CollectorRegistry, generate_latest

from tickcast.latest.board import FeedBoard
from tickcast.model.health import FeedHealth
from tickcast.model.queues import QueueLevel
from tickcast.ops.feed_metrics import FeedExporter

S = 1_000_000_000
HEALTH = FeedHealth(
    name="xnas", venue="XNAS", state="connected", since_ns=1, pid=1, messages=12, records=11, reconnects=2, gaps=3,
    dead_letters=4, dropped=5, rate=90.5, connections=1, queues={"feeds.xnas.inbox": QueueLevel(1, 2, 3)},
)  # fmt: skip


def test_each_figure_of_a_feed_is_a_metric_and_its_queues_end_with_its_process() -> None:
    board = FeedBoard({"xnas": "XNAS"}, silent_ns=5 * S, now_ns=0)
    registry = CollectorRegistry()
    registry.register(FeedExporter(lambda: board.rows(S)))
    board.report(HEALTH, S)
    text = generate_latest(registry).decode()
    figures = {
        "messages_total": 12, "records_total": 11, "reconnects_total": 2, "gaps_total": 3, "dead_letters_total": 4,
        "dropped_total": 5, "rate": 90.5, "connections": 1, "restarts_total": 0, "lag_ms": 0,
    }  # fmt: skip
    for name, value in figures.items():
        assert f'tickcast_feed_{name}{{feed="xnas",venue="XNAS"}} {float(value)}\n' in text
    assert 'tickcast_feed_state{feed="xnas",state="connected",venue="XNAS"} 1.0\n' in text
    assert 'tickcast_feed_state{feed="xnas",state="failed",venue="XNAS"} 0.0\n' in text
    assert board.queues() == {"feeds.xnas.inbox": (1, 2, 3)}
    board.lost("xnas", "gone", S)
    assert board.queues() == {}
    text = generate_latest(registry).decode()
    assert 'tickcast_feed_state{feed="xnas",state="failed",venue="XNAS"} 1.0\n' in text
    assert 'tickcast_feed_rate{feed="xnas",venue="XNAS"} 0.0\n' in text
