"""Generate the types of ``proto/``: ``python -m tickcast.testing.protoc PYTHON-FOLDER TYPESCRIPT-FOLDER``.

What is generated is committed, so that nobody needs a compiler to run or to build; a test generates it again.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "proto"
CLIENT_FILES = ("tickcast.proto",)
"""What clients need; the link between core and gateway workers is read and written in the core alone."""
PLUGIN = ROOT / "sdk/typescript/node_modules/.bin/protoc-gen-es"


def generate(python: Path, typescript: Path | None) -> None:
    """Write the types into the folders; without ``typescript`` only those of Python.

    Raises:
        CalledProcessError: a file has an error, which is on stderr.
    """
    _compile(f"--python_out={python}", f"--pyi_out={python}", *CLIENT_FILES)
    if typescript is not None:
        _compile(f"--plugin=protoc-gen-es={PLUGIN}", f"--es_out={typescript}", "--es_opt=target=ts", *CLIENT_FILES)


def _compile(*options: str) -> None:
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCES}", *options], check=True)  # noqa: S603  our own words


if __name__ == "__main__":
    generate(Path(sys.argv[1]), Path(sys.argv[2]))
