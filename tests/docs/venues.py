"""``docs/venues.md``, rendered from what the venues declare."""

from collections.abc import Iterator
from typing import Final

from tickcast.cli.venues import Facts, books, facts, rows
from tickcast.venues.registry import codes, find_declared

HEAD: Final = """# Venues

What each venue gives, what proves that its books are whole, and what a break of that proof concerns. `tickcast venues`
says the same; `tickcast instruments VENUE` lists what there is to subscribe to. Where the evidence for each mapping
stands, page by page and frame by frame: `NOTES.md` in the venue's folder below `src/tickcast/venues/`.

A break marks its whole scope `gap` at once, before anything else is told. Each instrument of the scope is then repaired
and cleared on its own ([continuity](concepts/continuity.md)), and the [ledger](concepts/ledger.md) keeps from when to
when it was not whole. Where nothing proves a book its state is `unverified`, never `live`.

This page is made from the declarations and checked by `tests/docs/test_reference.py`.

"""


def page() -> str:
    """Markdown of ``docs/venues.md``."""
    found = [facts(code) for code in codes()]
    return HEAD + "".join(_overview(found)) + "".join(_section(one) for one in found if one.url)


def _overview(found: list[Facts]) -> Iterator[str]:
    yield "| venue | protocol | proved by | a book begins | a break concerns |\n| --- | --- | --- | --- | --- |\n"
    for one in found:
        yield f"| `{one.code}` | {one.title} | {one.chain or one.proof} | {one.snapshot} | {one.scope} |\n"
    yield "\n"


def _section(one: Facts) -> str:
    lines = [f"## {one.code}\n", f"{one.title}: {one.proof}.\n", "| | |\n| --- | --- |"]
    lines += [f"| {name} | {_code(name, text)} |" for name, text in rows(one) if name != "proof"]
    venue = find_declared(one.code)
    if venue is not None:
        lines += [
            "",
            "| book message | chain | checksum | begins | scope | depth |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, rule in dict(books(venue.dialect)).items():
            depth = f"as subscribed ({rule.depth_from})" if rule.depth_from else str(rule.depth or "all")
            lines.append(
                f"| `{name}` | {rule.chain} | {rule.checksum or '-'} | {rule.snapshot} | {rule.scope} | {depth} |"
            )
    return "\n".join(lines) + "\n\n"


def _code(name: str, text: str) -> str:
    if name in {"stream", "REST"}:
        return f"`{text}`"
    return ", ".join(f"`{word}`" for word in text.split(" ")) if name == "gives" else text
