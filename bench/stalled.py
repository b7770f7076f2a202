"""A fast client's delays with 100 stalled sockets beside it, and without, in interleaved pairs.

    python bench/stalled.py [--stalled 100] [--seconds 4] [--rounds 5]

The stalled ones subscribe to everything unfiltered and never read. Until each has filled its socket it costs what any
client costs; that and the shifts down are over in the seconds that are not counted. They would be closed after
`undrained_max_s`, which no run reaches.
"""

import argparse

from probe import HEAD, SYMBOLS, Rig, pair, row

SETTLE_S = 2.5


def once(stalled: int, seconds: float) -> tuple[list[float], int, int]:
    """Delays, how many stood still, how often one was shifted."""
    rig = Rig()
    others = [pair() for _ in range(stalled)]
    for ours, _ in others:
        rig.watch(rig.hub.open(ours.fileno()), range(SYMBOLS), 0)
    delays = rig.run(seconds, SETTLE_S)
    for connections in others:
        for connection in connections:
            connection.close()
    return delays, len(rig.kept), rig.shifted


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stalled", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    alone, beside, found = [], [], []
    for turn in range(arguments.rounds):
        for with_stalled in (False, True) if turn % 2 else (True, False):
            delays, blocked, shifted = once(arguments.stalled if with_stalled else 0, arguments.seconds)
            (beside if with_stalled else alone).append(delays)
            if with_stalled:
                found.append((blocked, shifted))
    print(HEAD)
    print(row("alone", alone))
    print(row(f"beside {arguments.stalled} stalled", beside))
    print(f"\nStood still, and shifts down, in each run: {found}")


if __name__ == "__main__":
    main()
