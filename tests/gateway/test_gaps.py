"""REST of the ledger: filters reach it, answers fit their schemas, nonsense is refused."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from tickcast.gateway import schemas
from tickcast.model.ledger import LedgerEntry
from tickcast.ports import Completeness, GapQuery, LegCompleteness
from tickcast.testing.gateway import running_gateway

S = 1_000_000_000
NOW = 1_774_794_600 * S
ENTRY = LedgerEntry(
    id="xnas-1-7",
    feed="xnas",
    venue="XNAS",
    kind="gap",
    scope="unit",
    reason="3 messages are missing",
    began_ns=NOW - 10 * S,
    instruments=("XNAS:AAPL",),
    instruments_count=1,
    open_count=1,
    missing=3,
    recovered=1,
)


class OneEntry:
    """A ledger that remembers what it was asked."""

    def __init__(self) -> None:
        self.queries: list[GapQuery] = []
        self.spans: list[tuple[str, int, int]] = []

    def gaps(self, query: GapQuery) -> tuple[Sequence[LedgerEntry], str | None]:
        self.queries.append(query)
        return [ENTRY], ENTRY.id

    def completeness(self, symbol: str, from_ns: int, to_ns: int) -> Completeness | None:
        self.spans.append((symbol, from_ns, to_ns))
        if symbol == "NOPE":
            return None
        leg = LegCompleteness(
            symbol=symbol, feed="xnas", answer="incomplete", share=0.5, states_ms={"live": 1.0, "gap": 1.0},
            running_ms=2.0, late_ms=0.0, lost=2, entries=(ENTRY,), entries_count=1,
        )  # fmt: skip
        return Completeness(symbol=symbol, from_ns=from_ns, to_ns=to_ns, answer="incomplete", legs=(leg,))


async def ask(path: str) -> tuple[int, Any, OneEntry]:
    ledger = OneEntry()
    async with running_gateway(ledger=ledger, clock=lambda: NOW) as gateway, httpx.AsyncClient() as client:
        answer = await client.get(f"{gateway.url}{path}")
        return answer.status_code, answer.json(), ledger


async def test_entries_are_told_as_described_and_pages_follow() -> None:
    status, body, _ = await ask("/gaps")
    assert status == 200
    page = msgspec.convert(body, schemas.Gaps)
    (row,) = page.gaps
    assert (row.began, row.ended, row.duration_ms, row.lost) == ("2026-03-29T14:29:50.000000Z", None, 10_000.0, 2)
    assert set(body["gaps"][0]) == set(msgspec.structs.asdict(row))
    _, _, ledger = await ask(f"/gaps?cursor={page.next}")
    assert ledger.queries[0].cursor == "xnas-1-7"


async def test_every_filter_reaches_the_ledger() -> None:
    path = "/gaps?since=15m&until=2026-03-29T14:29:00Z&venue=XNAS&feed=xnas&symbol=AAPL&kind=gap&open=true&limit=7"
    _, _, ledger = await ask(path)
    assert ledger.queries == [
        GapQuery(
            since_ns=NOW - 900 * S, until_ns=NOW - 60 * S, venue="XNAS", feed="xnas", symbol="AAPL", kind="gap",
            is_open=True, limit=7,
        )
    ]  # fmt: skip


async def test_completeness_fits_its_schema_and_ends_now() -> None:
    status, body, ledger = await ask("/completeness?symbol=XNAS:AAPL&from=1h")
    assert status == 200
    assert ledger.spans == [("XNAS:AAPL", NOW - 3_600 * S, NOW)]
    found = msgspec.convert(body, schemas.CompletenessAnswer)
    assert (found.answer, found.begin, found.legs[0].lost) == ("incomplete", "2026-03-29T13:30:00.000000Z", 2)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gaps?since=soon", 422),
        ("/gaps?kind=nonsense", 422),
        ("/gaps?limit=0", 422),
        ("/gaps?cursor=nonsense", 422),
        ("/completeness?symbol=AAPL", 422),
        ("/completeness?symbol=AAPL&from=1h&to=2h", 422),
        ("/completeness?symbol=AAPL&from=2030-01-01T00:00:00Z", 422),
        ("/completeness?symbol=NOPE&from=1h", 404),
    ],
)
async def test_what_makes_no_sense_is_refused(path: str, status: int) -> None:
    found, body, _ = await ask(path)
    assert (found, body["status"]) == (status, status)
