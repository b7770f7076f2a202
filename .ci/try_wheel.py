"""Run the installed wheel as a user would: no Rust, no Node, no checkout on the path."""

import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

import tickcast
from tickcast.testing.instance import DemoInstance, eventually


def main() -> None:
    """Start the demo from the wheel, look at a price and at the page, stop it."""
    package = Path(tickcast.__file__).parent
    expect(Path(sys.prefix) in package.parents, f"the package of the wheel, found {package}")
    for tool in ("cargo", "rustc", "node", "npm"):
        expect(shutil.which(tool) is None, f"no {tool} on the path")
    with tempfile.TemporaryDirectory() as folder, DemoInstance(Path(folder), rate=300, symbols=20) as instance:
        instance.wait_ready()
        price = eventually(lambda: instance.get("/prices/AAPL")["price"])
        with urllib.request.urlopen(instance.url + "/") as answer:
            page = answer.read().decode()
        expect("<script" in page and "assets/" in page, "the built page inside the wheel")
        expect(instance.cli("stop").returncode == 0, "an orderly stop")
    sys.stdout.write(f"the wheel works: AAPL {price}\n")


def expect(condition: object, what: str) -> None:
    """End with a message unless the condition holds."""
    if not condition:
        raise SystemExit(f"expected {what}")


if __name__ == "__main__":
    main()
