"""The stub of the native door says what the built module has: names, arguments and defaults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = r"""
# The module's own list of names, made by PyO3.
tickcast\._native\.__all__
# PyO3 makes constructors __new__; readers look for __init__, and the arguments are tried by the other tests.
tickcast\._native\.\w+\.__(new|init)__
# A name of the stub for a tuple.
tickcast\._native\.JsonPrint
# PyO3 writes defaults that are no plain literal as "..." or None; the stub says what they mean.
tickcast\._native\.(Worker)?Hub\.control
tickcast\._native\.(Worker)?Hub\.flush
"""


@pytest.mark.timeout(300)
def test_the_stub_is_true(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"
    allowed.write_text(ALLOWED)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy.stubtest", "tickcast._native", "--allowlist", str(allowed)]
    options = ["--concise", "--mypy-config-file", str(root / "pyproject.toml")]
    environment = {**os.environ, "MYPYPATH": str(root / "src")}
    found = subprocess.run(  # one fixed command
        [*command, *options], capture_output=True, text=True, check=False, env=environment, cwd=root, timeout=240
    )
    assert found.returncode == 0, found.stdout + found.stderr
