"""Queues are read at each scrape, those of other processes among them."""

import pytest

from tickcast.model.queues import QueueLevel
from tickcast.runtime import metrics


def test_a_queue_is_shown_with_its_level_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_queues", {})
    held = [1, 2, 3]
    metrics.watch_queue("here", bound=lambda: 10 * len(held), depth=lambda: len(held), drops=lambda: 7)
    held.pop()
    assert metrics.queue_levels() == {"here": QueueLevel(2, 20, 7)}
    monkeypatch.setattr(metrics.QUEUES, "elsewhere", lambda: {"there": QueueLevel(4, 5, 6)})
    text = metrics.render().decode()
    for line in ("depth", "here", "2.0"), ("bound", "here", "20.0"), ("drops", "here", "7.0"):
        assert 'tickcast_queue_{}{{queue="{}"}} {}\n'.format(*line) in text
    for line in ("depth", "there", "4.0"), ("bound", "there", "5.0"), ("drops", "there", "6.0"):
        assert 'tickcast_queue_{}{{queue="{}"}} {}\n'.format(*line) in text
