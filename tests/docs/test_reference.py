"""The pages of the reference say what the code says; with TICKCAST_UPDATE_DOCS=1 the generated ones are written."""

import json
import os
import re
from enum import IntEnum, IntFlag
from pathlib import Path

import msgspec
from tests.docs.commands import reference
from tests.docs.faults import reference as faults_reference
from tests.docs.venues import page as venues_page

from tickcast import config
from tickcast.gateway import asyncapi, errors
from tickcast.model.record import RECORD, Condition, Flag, Kind, State
from tickcast.ops.latency import LatencyReport

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
UPDATE = "run: TICKCAST_UPDATE_DOCS=1 .venv/bin/pytest tests/docs/test_reference.py"
SCHEMA = re.compile(r"(?<=<!-- schema -->\n).*?(?=<!-- end -->)", re.DOTALL)


def compare(path: Path, wanted: str) -> None:
    if os.environ.get("TICKCAST_UPDATE_DOCS"):
        path.write_text(wanted, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == wanted, f"{path.name} is not what the code says; {UPDATE}"


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its head."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    section = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_command_line() -> None:
    compare(REFERENCE / "cli.md", reference())


def test_the_errors() -> None:
    compare(REFERENCE / "errors.md", errors.markdown())


def test_the_venues() -> None:
    compare(ROOT / "docs" / "venues.md", venues_page())


def test_the_config() -> None:
    compare(REFERENCE / "config.md", config.reference())


def test_the_faults_on_demand() -> None:
    compare(REFERENCE / "faults.md", faults_reference())


def test_the_description_of_the_stream() -> None:
    compare(REFERENCE / "asyncapi.json", asyncapi.TEXT)


def test_the_schema_of_latency() -> None:
    page = REFERENCE / "latency.md"
    schema = json.dumps(msgspec.json.schema(LatencyReport), indent=1)
    compare(page, SCHEMA.sub(lambda _: f"```json\n{schema}\n```\n", page.read_text(encoding="utf-8")))


def test_the_hops_of_latency() -> None:
    assert [row[0] for row in rows("latency.md", "Hops")] == list(config.Config().latency.budgets())


def test_the_fields_of_the_record() -> None:
    names = {"int64": "i64", "uint64": "u64", "uint8": "u8", "uint16": "u16"}
    assert RECORD.fields is not None
    assert [row[:3] for row in rows("record.md", "Fields")] == [
        [name, str(offset), names[dtype.name]] for name, (dtype, offset, *_) in RECORD.fields.items()
    ]


def test_the_numbers_of_the_record() -> None:
    kinds: dict[str, type[IntEnum | IntFlag]]
    kinds = {"Kinds": Kind, "Flags": Flag, "Conditions": Condition, "States": State}
    for heading, kind in kinds.items():
        wanted = [[name, str(member.value)] for name, member in kind.__members__.items()]
        assert [row[:2] for row in rows("record.md", heading)] == wanted, heading
