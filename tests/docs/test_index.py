"""The index of the documentation knows every page."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    linked = {target for target in re.findall(r"\]\(([^)#]+)", index.read_text(encoding="utf-8")) if target[0] != "."}
    assert linked == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path != index}


def test_decisions_are_numbered_without_a_hole() -> None:
    names = sorted(path.name for path in (DOCS / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
