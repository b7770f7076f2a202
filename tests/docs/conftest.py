"""One demo for all pages that are held against a running instance."""

from collections.abc import Iterator

import pytest

from tickcast.cli.demo_market import EXCHANGES
from tickcast.testing.instance import DemoInstance


@pytest.fixture(scope="package")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstance]:
    with DemoInstance(tmp_path_factory.mktemp("demo"), rate=500, symbols=20, exchanges=tuple(EXCHANGES)) as started:
        started.wait_ready(deadline_s=120)  # two dozen processes
        yield started
