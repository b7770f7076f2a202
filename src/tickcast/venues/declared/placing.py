"""Rows of the venue's Python back to their place among the core's."""

from collections.abc import Mapping, Sequence
from typing import Final

from tickcast.venues.base import Step
from tickcast.venues.rows import ROW

Inserted = tuple[int, Sequence[bytes], Mapping[int, str]]
"""How many of the core's records go before, the rows, and their texts by index."""

SIZE: Final = ROW.size


def place_rows(step: Step, records: bytes, texts: Mapping[int, str], inserted: Sequence[Inserted]) -> None:
    """Append the core's records to a step, with what is inserted at its place; texts stay with their rows."""
    base = sum(map(len, step.records)) // SIZE
    begin = shift = 0
    moved: list[tuple[int, int]] = []
    for offset, found, found_texts in inserted:
        if offset > begin:
            step.records.append(records[begin * SIZE : offset * SIZE])
            begin = offset
        step.texts.update((base + offset + shift + place, text) for place, text in found_texts.items())
        step.records.extend(found)
        shift += sum(map(len, found)) // SIZE
        moved.append((offset, shift))
    if len(records) > begin * SIZE:
        step.records.append(records[begin * SIZE :] if begin else records)
    for place, text in texts.items():
        behind = max((by for offset, by in moved if offset <= place), default=0)
        step.texts[base + place + behind] = text
