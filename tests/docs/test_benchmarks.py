"""The page of the benchmark JSON says what bench/ writes."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from tests.docs.test_reference import REFERENCE, ROOT, SCHEMA, compare


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Modules of bench/ import each other by their bare names."""
    folder = ROOT / "bench"
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def load(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_schema_of_a_run(bench: Path) -> None:
    schema = json.dumps(load(bench, "result").schema(), indent=1)
    page = REFERENCE / "benchmark-json.md"
    compare(page, SCHEMA.sub(lambda _: f"```json\n{schema}\n```\n", page.read_text(encoding="utf-8")))


def test_every_benchmark_is_on_the_page_and_has_a_script(bench: Path) -> None:
    parts = list(load(bench, "run").PARTS)
    text = (REFERENCE / "benchmark-json.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(parts)
    assert all((bench / f"{name}.py").is_file() for name in parts)


def test_a_run_is_written_as_the_schema_says(bench: Path) -> None:
    machine, result = load(bench, "machine"), load(bench, "result")
    part = result.Part(options=["--quick"], load_average=0.5, took_s=1.5, status="not done", result=None)
    run = result.Run(
        schema=result.SCHEMA,
        at="20260329T143001Z",
        commit="",
        quick=True,
        machine=msgspec.convert(machine.facts(), result.Machine),
        parts={"decode": part},
    )
    assert msgspec.json.decode(msgspec.json.encode(run), type=result.Run) == run


@pytest.mark.skipif(shutil.which("cargo") is None, reason="the native source is built with cargo")
@pytest.mark.timeout(600)
def test_what_the_native_source_sends_is_what_is_served(tmp_path: Path) -> None:
    kept = tmp_path / "spine.json"
    options = ["--rate", "20000", "--seconds", "3", "--stocks", "60", "--every", "1", "--json", str(kept)]
    subprocess.run([sys.executable, str(ROOT / "bench/spine.py"), *options], check=True, timeout=590)
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert found["accepted"] == found["sent"] > 60_000
    assert found["books"] == {"instruments": 60, "wrong": 0, "first": []}
    assert (found["gaps"], found["dead_letters"]) == (0, 0)
    assert found["clients"]["synced"] is not None


def test_frames_go_through_a_websocket_into_a_feed(bench: Path, tmp_path: Path) -> None:
    written = tmp_path / "websocket.json"
    options = ("--frames", "5000", "--pace", "20000", "--rounds", "1", "--json", str(written))
    done = subprocess.run(
        [sys.executable, str(bench / "websocket.py"), *options], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    assert all(found["per_cpu_second"][name] > 0 for name in ("picows", "websockets", "feed"))
    assert (found["frames"], found["paced"]["dead_letters"]) == (5000, 0)


def test_a_feed_that_ends_is_not_waited_for(
    bench: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    websocket = load(bench, "websocket")
    monkeypatch.delattr(websocket.Dropping, "on_watched")
    monkeypatch.setattr(sys, "argv", ["websocket.py", "--frames", "64", "--rounds", "1"])
    with pytest.raises(SystemExit, match=r"the feed ended after 0 of 1 messages: AttributeError"):
        websocket.main()
    capfd.readouterr()
