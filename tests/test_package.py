import subprocess
import sys

import tickcast


def test_public_names_are_complete_sorted_and_there() -> None:
    assert sorted(tickcast.__all__) == tickcast.__all__
    for name in tickcast.__all__:
        assert getattr(tickcast, name) is not None


def test_importing_does_nothing_else() -> None:
    code = "import sys, tickcast; print(sorted(m for m in sys.modules if m.startswith('tickcast') or m == 'asyncio'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['tickcast']"
