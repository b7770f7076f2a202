"""The SDK for TypeScript at an instance whose gateway workers are killed under it."""

import signal
from collections.abc import Iterator

import pytest
from tests.clients.sdk_process import sdk_client

from tickcast.testing.instance import DemoInstance

pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    folder = tmp_path_factory.mktemp("sdk")
    with DemoInstance(folder, "--gateways", "2", rate=200, symbols=4, exchanges=("XNAS",)) as started:
        started.wait_ready(deadline_s=60)
        yield started


async def test_a_killed_worker_costs_a_moment_and_no_trade(instance: DemoInstance) -> None:
    async with sdk_client(instance.url) as client:
        await client.watch("prices", "XNAS:AAPL")
        await client.watch("trades", "XNAS:AAPL")
        await client.watch("books", "XNAS:AAPL")
        await client.until("live")
        await client.becomes(lambda told: len(told["trades"].get("XNAS:AAPL", [])) > 3)
        # one of the two has the client: both are killed, one after the other
        instance.kill("gateway1", signal.SIGKILL)
        instance.kill("gateway2", signal.SIGKILL)
        await client.until("offline", deadline_s=60)
        await client.until("live", deadline_s=60)
        seen = len((await client.told())["trades"]["XNAS:AAPL"])
        told = await client.becomes(
            lambda told: (
                len(told["trades"]["XNAS:AAPL"]) > seen + 3
                and told["ticks"]["XNAS:AAPL"]["state"] == "live"
                and told["books"]["XNAS:AAPL"]["isWhole"]
            )
        )
        synced = await client.synced()
        assert synced["agrees"], synced
        assert all(hole["count"] is None for hole in told["lost"]), "a hole of known size was let through"
        assert told["counters"]["failed"] == 0
