"""The reference of faults on demand, rendered from the verbs and from what every simulated exchange says of them."""

import json
from typing import Final

import msgspec

from tickcast.sim import universe
from tickcast.sim.config import Config, VenueConfig
from tickcast.sim.dialect import create
from tickcast.sim.engine import VenueEngine
from tickcast.sim.faults import VERBS, Fault, FaultGate

HEAD: Final = """# Faults on demand

What `tickcast sim fault` and the control endpoint of the [simulated exchanges](sim.md) can break, to see that a
consumer notices. Nothing is broken unless it is asked for. Same seed and same units sent, same faults.

```
tickcast sim fault XNAS drop --count 3          # of the demo in the data folder
tickcast sim fault BINANCE stall --for-s 10
tickcast sim fault XSIM throttle --delay-ms 5000 --admin http://127.0.0.1:26404
tickcast sim fault --list                       # what each can do, what is armed, how often each fired
tickcast sim fault XNAS clear
```

Over HTTP: `POST /faults/{VENUE}` with a JSON object as in the schema below, `DELETE /faults/{VENUE}`, `GET /faults`. A
refusal is 400 with `{"error"}`. What arrives is what the exchange did *after* its own books: `GET /truth/{VENUE}` stays
true.

A fault ends after `count` units or after `for_s` seconds, whichever comes first; with neither, as the table says.
`every` hits one unit in so many, at random. `line` picks one path where a venue has several; `A` also means `A/1`.

What delay, stall and reorder hold back is bounded (16 MiB for each exchange). What does not fit is lost, and on a
stream the connection ends, as a server does whose buffer is full.

This page is made from the code and checked by `tests/docs/test_reference.py`.

## Verbs

| verb | what happens | parameters | lasts |
| --- | --- | --- | --- |
"""
SAMPLES: Final[dict[str, VenueConfig]] = {str(one.__struct_config__.tag): one() for one in VenueConfig.__args__}


def reference() -> str:
    """Markdown of ``docs/reference/faults.md``."""
    verbs = [
        f"| `{verb}` | {info.meaning} | {', '.join(f'`{name}`' for name in info.parameters)} | {_lasts(verb)} |"
        for verb, info in VERBS.items()
    ]
    dialects = [_dialect(tag, _gate(tag, venue)) for tag, venue in sorted(SAMPLES.items())]
    schema = json.dumps(msgspec.json.schema(Fault), indent=1)
    return HEAD + "\n".join([*verbs, *dialects]) + f"\n\n## Schema\n\n```json\n{schema}\n```\n"


def _lasts(verb: str) -> str:
    info = next(info for name, info in VERBS.items() if name == verb)
    if info.count is not None:
        return f"{info.count} unit{'s' if info.count > 1 else ''}"
    if info.for_s is not None:
        return f"{info.for_s:g} s"
    return "until cleared" if verb == "clock" else "happens at once"


def _gate(tag: str, venue: VenueConfig) -> FaultGate:
    config = Config(symbols=10, venues={tag: venue})
    start_ns = 1_774_879_200_000_000_000
    dialect = create(tag, venue, config, universe.build(config), start_ns, lambda: start_ns)
    VenueEngine(dialect, rate=1.0, quantum_ms=10.0, start_ns=start_ns)  # lets it begin: its queues are watched
    return dialect.faults


def _dialect(tag: str, gate: FaultGate) -> str:
    lines = f"\nLines: {', '.join(f'`{line}`' for line in gate.lines)}.\n" if gate.lines else ""
    table = "\n".join(f"| `{verb}` | {meaning} |" for verb, meaning in gate.supports.items())
    return f"\n## `{tag}`\n{lines}\n| verb | at this exchange |\n| --- | --- |\n{table}"
