"""A day in words: what happened to whom, as tables for a terminal."""

from typing import Final

from tickcast.testing.day.run import Outcome

VENUES: Final = "{:<16} {:>6} {:>9} {:>8} {:>15} {:>7} {:<5} {}"
CROWD: Final = "{:<8} {:<8} {:>7} {:>9} {:>8} {:>8} {:>7} {}"
WRONG_MAX: Final = 5


def tables(outcome: Outcome) -> str:
    """Return the whole report."""
    lines = [VENUES.format("VENUE", "INSTR", "MESSAGES", "FAULTS", "TRADES", "EXCUSED", "", "LEDGER").rstrip()]
    for venue in outcome.venues:
        entries = ", ".join(f"{kind} {count}" for kind, count in sorted(venue.entries.items())) or "nothing"
        lines.append(
            VENUES.format(
                venue.venue,
                venue.instruments,
                venue.messages,
                "in peace" if venue.is_witness else venue.strikes,
                f"{venue.trades_came}/{venue.trades}",
                venue.trades_excused,
                "FAIL" if venue.wrong else "ok",
                entries,
            )
        )
        lines += _wrong(venue.wrong)
    lines += ["", CROWD.format("CHANNEL", "CODEC", "CLIENTS", "FRAMES", "SYMBOLS", "EQUAL", "BALANCED", "").rstrip()]
    for row in outcome.crowd:
        equal = row.equal if row.channel in {"price", "book"} else "-"
        verdict = "FAIL" if row.wrong else "ok"
        lines.append(
            CROWD.format(row.channel, row.codec, row.clients, row.frames, row.symbols, equal, row.balanced, verdict)
        )
        lines += _wrong(row.wrong)
    lines += ["", *_wrong(outcome.wrong, indent=""), _summary(outcome)]
    return "\n".join(lines)


def _wrong(texts: list[str], *, indent: str = "    ") -> list[str]:
    more = [f"{indent}and {len(texts) - WRONG_MAX} more"] if len(texts) > WRONG_MAX else []
    return [f"{indent}{text}" for text in texts[:WRONG_MAX]] + more


def _summary(outcome: Outcome) -> str:
    faults = sum(venue.strikes for venue in outcome.venues)
    verdict = "all equal to the truth" if not outcome.differences else f"{outcome.differences} differences"
    return (
        f"seed {outcome.seed}: {len(outcome.venues)} venues, {sum(one.instruments for one in outcome.venues)} "
        f"instruments, {sum(one.clients for one in outcome.crowd)} clients, {faults} faults in {outcome.minutes:g} "
        f"minutes; whole again and equal after {outcome.calm_s:g} s ({outcome.looks} looks), "
        f"{outcome.took_s:.0f} s in all: {verdict}"
    )
