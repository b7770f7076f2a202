from collections.abc import AsyncIterator

import pytest

from tickcast.testing.gateway import RunningGateway, running_gateway


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as running:
        running.trade("XNAS:AAPL", "185.40")
        running.quote("XNAS:AAPL", ("185.30", "10"), ("185.50", "20"))
        yield running
