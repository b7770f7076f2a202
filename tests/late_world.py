"""A gateway that keeps everything back for those who may see it late only, and who they are."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tickcast.gateway.config import Config
from tickcast.testing.gateway import RunningGateway, late_of, running_gateway
from tickcast.testing.tokens import auth_config, token

DEADLINE_S = 30.0
DELAY_S = 1.0
AAPL = "XNAS:AAPL"


@asynccontextmanager
async def late_world(folder: Path, *, delay_s: float = DELAY_S, **settings: Any) -> AsyncIterator[RunningGateway]:
    auth = msgspec.structs.replace(auth_config(folder), delayed=True, delay_s=delay_s)
    config = Config(port=0, auth=auth, **settings)
    late = late_of(config, folder / "late")
    async with running_gateway(config, folder=folder / "auth", late=late) as gateway:
        yield gateway


def token_of(*, delayed: bool = True) -> str:
    return token({"symbols": ["*"], "delayed": delayed}, now_s=int(time.time()), sub=str(delayed))


def by(*, delayed: bool = True) -> dict[str, str]:
    return {"authorization": f"Bearer {token_of(delayed=delayed)}"}
