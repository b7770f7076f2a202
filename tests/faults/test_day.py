"""A short day: three venues, every fault at random, twenty clients, and an end that equals the truth."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]
VENUES = ("--venue", "OKX", "--venue", "KRAKEN", "--venue", "BYBIT")


def test_a_short_day_ends_equal_to_the_truth() -> None:
    command = (sys.executable, "-m", "tickcast.testing.day", "--quick", "--seed", "1", *VENUES)
    done = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "all equal to the truth" in done.stdout
    assert "3 venues" in done.stdout
