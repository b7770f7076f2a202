"""What numbers on the command line may be: an option refuses the rest before anything starts."""

import math
from typing import Any, Final

import click


class FiniteRange(click.FloatRange):
    """A number in a range; ``nan`` is in none, though it compares as if it were in all."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


PORT: Final = click.IntRange(0, 65_535)
"""0 = any free port."""
GATEWAYS: Final = click.IntRange(0, 64)
"""Gateway workers of an instance."""
EVENT_RATE: Final = FiniteRange(0, 10_000_000, min_open=True)
SYMBOL_COUNT: Final = click.IntRange(2, 50_000)
SPEED: Final = FiniteRange(min=0)
