"""An alert bot: says once when a price crosses a line, and never because of a price that is not live.

    python examples/alert.py "AAPL > 200" "BTC-USDT < 60000" --url http://127.0.0.1:8000

With --post the alerts also go to an address as JSON. A token, where the gateway wants one, is taken from
$TICKCAST_TOKEN.
"""

import argparse
import asyncio
import operator
import os
import re
from dataclasses import dataclass
from decimal import Decimal

import aiohttp

import tickcast
from tickcast.client import Tick

SIGNS = {">": operator.gt, "<": operator.lt}


@dataclass
class Rule:
    """A line that a price may cross."""

    symbol: str
    sign: str
    line: Decimal
    is_over: bool | None = None
    """On which side the price was; None: nobody knows."""

    def crossed(self, tick: Tick) -> bool:
        """Whether the price is beyond the line, and was not before."""
        if tick.state not in {"live", "delayed"} or tick.price is None:  # delayed: as good, and `delay_s` old
            return False
        was, self.is_over = self.is_over, SIGNS[self.sign](tick.price, self.line)
        return self.is_over and not was


def rule(text: str) -> Rule:
    """Read ``AAPL > 200``."""
    found = re.fullmatch(r"\s*(\S+)\s*([<>])\s*(\d+(?:\.\d+)?)\s*", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected SYMBOL > PRICE or SYMBOL < PRICE, found {text!r}")
    return Rule(found[1], found[2], Decimal(found[3]))


async def watch(url: str, rules: list[Rule], post: str | None, most: int) -> None:
    """Alert until interrupted, or so many times."""
    told = 0
    async with (
        tickcast.connect(url, token=os.environ.get("TICKCAST_TOKEN")) as client,
        client.ticks(*{one.symbol for one in rules}, rate=0, fields=["price", "timestamp"]) as ticks,
        aiohttp.ClientSession() as http,
    ):

        @ticks.on()
        async def check(tick: Tick) -> None:
            nonlocal told
            for one in rules:
                if one.symbol != tick.symbol or not one.crossed(tick):
                    continue
                text = f"{tick.symbol} is {tick.price}, {one.sign} {one.line} ({tick.timestamp})"
                print(text, flush=True)
                if post is not None:
                    async with http.post(post, json={"text": text}) as answer:
                        answer.raise_for_status()
                told += 1
                if told == most:
                    await ticks.close()

        await ticks.run()


def main() -> None:
    """Read the rules and watch."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("rules", nargs="+", type=rule)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--post", help="address that gets each alert as JSON")
    arguments.add_argument("--count", type=int, default=0, help="stop after so many alerts")
    chosen = arguments.parse_args()
    asyncio.run(watch(chosen.url, chosen.rules, chosen.post, chosen.count))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except tickcast.ClientError as wrong:
        raise SystemExit(f"alert: {wrong}") from None
