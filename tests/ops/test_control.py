import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tickcast.model.errors import StateError, UsageError
from tickcast.ops.control import ControlServer, ask
from tickcast.ops.datadir import DataDir, Instance


async def handler(request: Mapping[str, Any]) -> Any:
    match request.get("do"):
        case "echo":
            return request["what"]
        case "usage":
            raise UsageError("not so")
        case "hang":
            await asyncio.sleep(30)
    raise StateError("not now")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b'{"do":"echo","what":[1]}\n', {"ok": True, "result": [1]}),
        (b'{"do":"usage"}\n', {"ok": False, "kind": "usage", "error": "not so"}),
        (b"{}\n", {"ok": False, "kind": "state", "error": "not now"}),
    ],
)
async def test_a_line_in_a_line_out(tmp_path: Path, sent: bytes, answer: dict[str, Any]) -> None:
    server = ControlServer(tmp_path / "c.sock", handler)
    await server.start()
    assert (tmp_path / "c.sock").stat().st_mode & 0o777 == 0o600
    reader, writer = await asyncio.open_unix_connection(tmp_path / "c.sock")
    for _ in range(2):
        writer.write(sent)
        assert json.loads(await reader.readline()) == answer
    writer.close()
    await server.stop()
    assert not (tmp_path / "c.sock").exists()


@pytest.mark.parametrize("garbage", [b"\xff\xfe\n", b"[1]\n", b"\n", b"{" * 1000 + b"\n"])
async def test_garbage_is_answered_and_the_connection_lives(tmp_path: Path, garbage: bytes) -> None:
    server = ControlServer(tmp_path / "c.sock", handler)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "c.sock")
    writer.write(garbage)
    answer = json.loads(await reader.readline())
    assert answer["kind"] == "usage"
    assert answer["error"].startswith("expected a JSON object, found ")
    writer.write(b'{"do":"echo","what":1}\n')
    assert json.loads(await reader.readline())["result"] == 1
    writer.close()
    await server.stop()


async def test_a_line_that_is_too_long_ends_its_connection_only(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c.sock", handler)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "c.sock")
    writer.write(b"x" * 200_000)
    with contextlib.suppress(OSError):  # reset or broken pipe, as it happens
        await writer.drain()
        assert await reader.read() == b""
    second, other = await asyncio.open_unix_connection(tmp_path / "c.sock")
    other.write(b'{"do":"echo","what":2}\n')
    assert json.loads(await second.readline())["result"] == 2
    writer.close()
    other.close()
    await server.stop()


async def test_ask(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    lock = data.lock()
    data.write_instance(Instance(pid=42, started_ns=0, control=str(data.control), version="v"))
    with pytest.raises(StateError, match=r"\(process 42\) does not answer"):
        ask(data, {"do": "echo"})
    server = ControlServer(data.control, handler)
    await server.start()
    assert await asyncio.to_thread(ask, data, {"do": "echo", "what": "x" * 50_000}) == "x" * 50_000
    with pytest.raises(UsageError, match="not so"):
        await asyncio.to_thread(ask, data, {"do": "usage"})
    with pytest.raises(StateError, match="not now"):
        await asyncio.to_thread(ask, data, {"do": "other"})
    with pytest.raises(StateError, match="does not answer on its control socket: timed out"):
        await asyncio.to_thread(ask, data, {"do": "hang"}, timeout_s=0.2)
    await server.stop()
    lock.release()


async def test_a_server_that_ends_leaves_the_socket_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    old, new = ControlServer(path, handler), ControlServer(path, handler)
    await old.start()
    await new.start()
    await old.stop()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"do":"echo","what":1}\n')
    assert json.loads(await reader.readline())["result"] == 1
    writer.close()
    await new.stop()
    assert not path.exists()
