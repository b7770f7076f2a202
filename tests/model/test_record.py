import json
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tickcast.model.record import RECORD, Condition, Flag, Kind, State, empty_records, record_bytes, records_from

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "record_layout.json").read_text())
TYPES = {"i64": "<i8", "u64": "<u8", "u16": "<u2", "u8": "|u1"}


def test_fields_are_those_of_the_golden_file() -> None:
    assert RECORD.itemsize == GOLDEN["size"]
    assert RECORD.fields is not None
    found = [(name, RECORD.fields[name][1], RECORD.fields[name][0].str) for name in RECORD.names or ()]
    assert found == [(field["name"], field["offset"], TYPES[field["type"]]) for field in GOLDEN["fields"]]


@pytest.mark.parametrize(
    ("key", "names"), [("kinds", Kind), ("flags", Flag), ("conditions", Condition), ("states", State)]
)
def test_names_are_those_of_the_golden_file(key: str, names: type[IntEnum | IntFlag]) -> None:
    assert {member.name: member.value for member in names} == GOLDEN[key]


def test_bytes_round_trip_without_a_copy() -> None:
    records = empty_records(3)
    records["price"] = [1, -2, 3]
    data = bytes(record_bytes(records))
    assert len(data) == 192
    assert np.array_equal(records_from(data), records)
    assert np.shares_memory(np.frombuffer(record_bytes(records), np.uint8), records)
    with pytest.raises(ValueError, match="multiple of 64"):
        records_from(data[1:])
