"""House rules that no linter knows; each names the file and line that breaks it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in listed.stdout.splitlines() if line.endswith(suffixes)]
    return [path for path in paths if path.is_file()]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def source() -> list[Path]:
    return [p for p in tracked(".py") if "src" in p.parts]


def test_files_stay_readable() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in tracked(".py", ".rs", ".ts", ".tsx")
        if "_pb" not in p.stem  # generated
        if (n := len(list(lines(p)))) > FILE_LINES_MAX
    }
    assert not long


def test_functions_stay_readable() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in source()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.body[0].lineno > FUNCTION_LINES_MAX
    ]
    assert not long


@pytest.mark.parametrize(
    ("pattern", "where", "why"),
    [
        (
            r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|unimplemented!\(|todo!\(",
            "",
            "promises are kept or not made",
        ),
        (r"0\.0\.0\.0(?![.\d])", "src", "nothing of ours binds all interfaces by default"),
        (r"\basyncio\.(create_task|ensure_future)\(", "src", "tasks are owned: runtime.tasks"),
        (r"\btime\.(time|time_ns|monotonic|monotonic_ns|sleep)\(", "src", "time passes through runtime.clock"),
        (r"\basyncio\.Queue\(\)", "src", "every queue has a bound"),
        (r"^\s*print\(", "src", "logs go through runtime.log, output through click"),
    ],
)
def test_banned_words(pattern: str, where: str, why: str) -> None:
    allowed = {ROOT / "src/tickcast/runtime/clock.py", Path(__file__)}
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(".py", ".rs", ".ts", ".tsx")
        if path not in allowed and (not where or where in path.parts) and "testing" not in path.parts
        for number, line in lines(path)
        if re.search(pattern, line)
    ]
    assert not found, why


def test_no_address_of_a_registry_and_no_path_of_a_machine() -> None:
    pattern = re.compile(r"\"resolved\": \"http|--(extra-)?index-url|^registry *=|/(work|root|home)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(".py", ".toml", ".json", ".lock", ".md", ".ts", ".tsx", ".rs", ".txt", ".yml", "Makefile")
        if path != Path(__file__)
        for number, line in lines(path)
        if pattern.search(line)
    ]
    assert not found


def test_links_in_the_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{number} {target}"
        for path in tracked(".md")
        for number, line in lines(path)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line)
        if not (path.parent / target).exists()
    ]
    assert not broken


def test_the_door_to_rust_has_few_users() -> None:
    may = {"decode", "venues", "normalise", "fanout", "gateway", "app.py", "late.py", "sim", "cli", "testing"}
    pattern = re.compile(
        r"^\s*(from tickcast\._native import|from tickcast import .*\b_native\b|import tickcast\._native)", re.MULTILINE
    )
    users = {
        p.relative_to(ROOT / "src/tickcast").parts[0] for p in source() if pattern.search(p.read_text(encoding="utf-8"))
    }
    assert users <= may


def test_the_two_locks_agree() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))

    alone, with_tools = pins("requirements.lock"), pins("requirements-dev.lock")
    assert len(alone) > 20
    assert alone.items() < with_tools.items(), "make both anew, the smaller one with the larger one as constraint"
