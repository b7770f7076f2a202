"""Runs the rules: each against each venue that has a voice."""

import random
from collections.abc import Iterable, Mapping
from typing import Final

from tickcast.sim.crypto.state import Client, Topic
from tickcast.sim.crypto.voice import Voice
from tickcast.sim.crypto.voices import VOICES, voice
from tickcast.sim.faults import Fault
from tickcast.testing.conformance.bench import Bench
from tickcast.testing.conformance.missed import MISSED_RULES
from tickcast.testing.conformance.overlap import OVERLAP_RULES
from tickcast.testing.conformance.quiet import QUIET_RULES
from tickcast.testing.conformance.rules import GARBAGE, RULES, Rule
from tickcast.venues.registry import VENUES, find_declared

BY_NAME: Final[Mapping[str, Rule]] = {rule.name: rule for rule in (*RULES, *MISSED_RULES, *QUIET_RULES, *OVERLAP_RULES)}
MIX_TURNS: Final = 8
DEPTHS: Final = (0, 5)
"""Levels that are told of books that nobody watches, by seeds."""


def covered() -> list[str]:
    """Return the codes of declared venues that have a voice."""
    return [code for code in VENUES if code.lower() in VOICES and find_declared(code) is not None]


def uncovered() -> list[str]:
    """Return the codes of declared venues without a voice."""
    return [code for code in VENUES if code.lower() not in VOICES and find_declared(code) is not None]


def check(
    code: str, rule: str, *, own_voice: type[Voice] | None = None, seed: int = 1, depth: int | None = None
) -> bool:
    """Apply a rule to a venue; False where the venue has not what the rule spoils.

    Args:
        code: of a declared venue in the registry.
        rule: name of one of :data:`tickcast.testing.conformance.rules.RULES`.
        own_voice: of a venue outside this package.
        seed: of the market.
        depth: levels that are told of books; by default that goes by the seed.

    Raises:
        ConformanceError: the venue does not do what every venue must do; names the seed.
    """
    chosen = BY_NAME[rule]
    told = DEPTHS[seed % 2] if depth is None else depth
    bench = Bench(
        code,
        own_voice or voice(code.lower()),
        seed=seed,
        depth=told,
        quiet_watch=chosen.quiet_watch,
        settings=chosen.settings,
    )
    if not chosen.applies(bench):
        return False
    chosen.run(bench)
    bench.finish()
    return True


def check_mix(code: str, *, own_voice: type[Voice] | None = None, seed: int, depth: int | None = None) -> None:
    """Do all of it at random, to all instruments at once.

    Raises:
        ConformanceError: the venue does not do what every venue must do; names the seed.
    """
    told = DEPTHS[seed % 2] if depth is None else depth
    bench = Bench(code, own_voice or voice(code.lower()), seed=seed, depth=told)
    bench.trades_may_be_lost = not bench.chained_trades
    bench.start()
    dice = random.Random(f"mix:{code}:{seed}")
    faults = bench.venue.faults
    for _ in range(MIX_TURNS):
        verb = dice.choice(("drop", "duplicate", "reorder", "corrupt", "truncate", "delay", "disconnect", "throttle",
                            "restart", "garbage", "nothing"))  # fmt: skip
        if verb == "garbage":
            bench.venue.tamper = _Garbage(dice)
        elif verb != "nothing":
            units = verb in {"drop", "duplicate", "reorder", "corrupt", "truncate"}
            faults.arm(
                Fault(fault=verb, count=dice.randint(1, 3), line="ws") if units  # type: ignore[arg-type]
                else Fault(fault="delay", for_s=1.0, delay_ms=300, line="ws") if verb == "delay"
                else Fault(fault=verb)  # type: ignore[arg-type]
            )  # fmt: skip
        bench.run(dice.randint(2, 12) * 100)
        bench.venue.tamper = None
    faults.clear()
    bench.run(1000)
    bench.finish()


class _Garbage:
    """Mixes garbage in now and then."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def __call__(self, client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        """Stand between voice and client."""
        del client, topic
        return (self._dice.choice(GARBAGE), frame) if self._dice.random() < 0.05 else (frame,)
