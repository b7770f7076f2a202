"""What a program sees that only imports the package."""

import subprocess
import sys

PROGRAM = """
import asyncio, logging, tickcast
logging.basicConfig(level=logging.ERROR)
async def main():
    try:
        await tickcast.book("BINANCE:BTC-USDT", timeout_s=0.3, settings={"url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"})
    except tickcast.FeedError as wrong:
        print(type(wrong).__name__)
asyncio.run(main())
"""


def test_importing_is_quick_and_loads_no_stage() -> None:
    listing = "import tickcast, sys; print([name for name in sys.modules if name.startswith('tickcast.')])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_nothing_is_printed_but_by_the_program() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("FeedError\n", "")
