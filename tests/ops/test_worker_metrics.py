from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tickcast.ops.worker_metrics import FRESH_S, MetricsFile, read_all
from tickcast.runtime import metrics

NOW = 1_800_000_000_000_000_000
_seen = metrics.counter("test_worker_metrics_seen", "Seen by the test, so far.", ("what",))


def test_what_a_process_left_is_shown_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _seen.labels("a").inc(3)
    folder = tmp_path / "metrics"
    MetricsFile(folder, "gateway1", lambda: NOW).write()
    _seen.labels("a").inc(2)
    monkeypatch.setattr(metrics.PROCESSES, "elsewhere", lambda: read_all(folder, lambda: NOW))
    text = metrics.render().decode()
    assert text.count("# TYPE tickcast_test_worker_metrics_seen_total counter") == 1
    (family,) = (one for one in text_string_to_metric_families(text) if one.name == "tickcast_test_worker_metrics_seen")
    found = {tuple(sorted(one.labels.items())): one.value for one in family.samples if one.name.endswith("_total")}
    assert found == {(("what", "a"),): 5.0, (("process", "gateway1"), ("what", "a")): 3.0}


def test_old_broken_and_removed_files_are_left_out(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, "gateway1", lambda: NOW)
    file.write()
    assert list(read_all(tmp_path, lambda: NOW + int(FRESH_S * 1e9)))
    assert not list(read_all(tmp_path, lambda: NOW + int(FRESH_S * 1e9) + 1))
    (tmp_path / "gateway2.metrics").write_bytes(b"\xc1")
    assert {one.samples[0].labels["process"] for one in read_all(tmp_path, lambda: NOW) if one.samples} == {"gateway1"}
    file.remove()
    assert not list(read_all(tmp_path, lambda: NOW))


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics", "gateway1", lambda: NOW)
    (tmp_path / "metrics").rmdir()
    file.write()
    assert not list(read_all(tmp_path / "metrics", lambda: NOW))
