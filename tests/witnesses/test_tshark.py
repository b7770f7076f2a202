"""Wireshark's dissectors read what our simulated exchanges put on the wire: nothing is malformed, nothing is missing.

Its ITCH is version 2.0, of another century: that dissector is switched off, and the messages inside SoupBinTCP and
MoldUDP64 are counted and not read.
"""

import asyncio
import shutil
import signal
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.sim.fix_client import FixClient
from tests.sim.soup_client import SoupClient
from tests.witnesses.simulator import Running, simulator

CAPTURE_S_MAX = 60
CAPTURE_KIB_MAX = 200_000
WAIT_S = 20.0
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        shutil.which("tshark") is None or shutil.which("dumpcap") is None,
        reason="tshark is not installed; on Debian: apt install tshark",
    ),
]


@asynccontextmanager
async def captured(path: Path, ports: str) -> AsyncIterator[None]:
    """Record a filter on the loopback interface, bounded in time and size."""
    dumpcap = await asyncio.create_subprocess_exec(
        "dumpcap", "-q", "-i", "lo", "-f", ports, "-B", "32", "-w", str(path),
        "-a", f"duration:{CAPTURE_S_MAX}", "-a", f"filesize:{CAPTURE_KIB_MAX}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert dumpcap.stderr is not None
    said = b""
    # the file is named when the capture runs
    while not said.startswith(b"File:"):
        said = await dumpcap.stderr.readline()
        if not said:
            pytest.skip("dumpcap may not capture on the loopback interface here: run as root or see its man page")
    try:
        yield
    finally:
        dumpcap.send_signal(signal.SIGINT)
        await dumpcap.communicate()


def dissect(
    path: Path, decode_as: list[str], fields: list[str], *, only: str, growing: bool = False
) -> list[dict[str, list[str]]]:
    """Values of some fields of every frame of a filter; a file that grows may end inside a packet."""
    options = [option for one in decode_as for option in ("-d", one)]
    options += [option for one in fields for option in ("-e", one)]
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        "--disable-protocol",
        "nasdaq_itch",
        *options,
        "-Y",
        only,
        "-T",
        "fields",
    ]
    done = subprocess.run([*command, "-E", "aggregator=;"], capture_output=True, text=True, check=not growing)
    return [
        {name: cell.split(";") if cell else [] for name, cell in zip(fields, line.split("\t"), strict=True)}
        for line in done.stdout.splitlines()
    ]


async def dissected(
    path: Path, decode_as: list[str], fields: list[str], *, only: str, counted: str, count: int
) -> list[dict[str, list[str]]]:
    """The same, when so many values of a field have reached the file."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await asyncio.to_thread(dissect, path, decode_as, fields, only=only, growing=True)
            if sum(len(frame[counted]) for frame in found) >= count:
                return found
            await asyncio.sleep(0.3)


def assert_well_formed(path: Path, decode_as: list[str]) -> None:
    wrong = "_ws.malformed || _ws.expert.severity == error || fix.checksum_bad == 1 || moldudp64.count.invalid"
    assert dissect(path, decode_as, ["frame.number", "_ws.expert.message"], only=wrong) == []


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def config(dialect: str, name: str, *lines: str) -> str:
    return "\n".join(("symbols = 40", "rate = 3000", f"[venues.{name}]", f'dialect = "{dialect}"', *lines, ""))


async def settle(sim: Running) -> None:
    await asyncio.to_thread(sim.ask, "/pause", method="POST")


async def test_fix_is_dissected_message_by_message(tmp_path: Path) -> None:
    with simulator(tmp_path, config("fix", "XNYS", "entries_max = 10")) as sim:
        port = port_of(sim.venues["XNYS"]["address"])
        path, decode_as = tmp_path / "fix.pcapng", [f"tcp.port=={port},fix"]
        async with captured(path, f"tcp port {port}"):
            client = await FixClient.connect(sim.venues["XNYS"]["address"])
            await client.logon(heartbeat=3)
            client.send("x", (320, "L"), (559, 4))
            symbols = [value for tag, value in await client.kind("y") if tag == 55]
            client.subscribe(symbols)
            client.send("V", (262, "BAD"), (263, 1), (264, 0), (267, 1), (269, 0), (146, 1), (55, "NOPE"))
            await client.until(lambda one: len(one.of("X")) > 150 and one.of("Y"))
            client.send("0")
            client.send("2", (7, 1), (16, 30))
            await client.until(lambda one: any((43, "Y") in message for message in one.messages))
            await settle(sim)
            await client.kind("0")
            client.send("5")
            await client.ended()
            fields = ["tcp.srcport", "fix.MsgSeqNum", "fix.MsgType", "fix.checksum_good"]
            frames = await dissected(
                path, decode_as, fields, only=f"fix && tcp.srcport == {port}", counted="fix.MsgSeqNum",
                count=len(client.messages),
            )  # fmt: skip
        numbers = [number for frame in frames for number in frame["fix.MsgSeqNum"]]
        kinds = [kind for frame in frames for kind in frame["fix.MsgType"]]
        assert numbers == [dict(message)[34] for message in client.messages]
        assert kinds == [dict(message)[35] for message in client.messages]
        good = [value for frame in frames for value in frame["fix.checksum_good"]]
        assert len(good) == len(kinds)
        assert set(good) <= {"1", "True"}
        assert_well_formed(path, decode_as)


async def test_soupbintcp_is_dissected_packet_by_packet(tmp_path: Path) -> None:
    with simulator(tmp_path, config("soup_itch", "XNAS")) as sim:
        port = port_of(sim.venues["XNAS"]["address"])
        path, decode_as = tmp_path / "soup.pcapng", [f"tcp.port=={port},soupbintcp"]
        async with captured(path, f"tcp port {port}"):
            client = await SoupClient.connect(sim.venues["XNAS"]["address"])
            assert await client.login() == b"A"
            await client.read_until(lambda one: len(one.messages) > 3000)
            await settle(sim)
            # nothing but heartbeats comes any more: everything sent has been read
            await client.read_until(lambda one: one.control[-1][0] == b"H")
            await client.close()
            fields = ["soupbintcp.packet_type", "soupbintcp.packet_length"]
            count = len(client.messages) + len(client.control)
            frames = await dissected(
                path, decode_as, fields, only=f"soupbintcp && tcp.srcport == {port}", counted=fields[0], count=count
            )
        kinds = Counter(kind.strip("'") for one in frames for kind in one[fields[0]])
        assert kinds["S"] == len(client.messages)
        assert kinds["A"] == 1
        lengths = [int(length) for one in frames for length in one[fields[1]]]
        assert sum(lengths) >= sum(len(message) + 1 for message in client.messages)
        assert_well_formed(path, decode_as)


async def test_moldudp64_is_dissected_packet_by_packet(tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as a_line, socket.socket(type=socket.SOCK_DGRAM) as b_line:
        for line in (a_line, b_line):
            line.bind(("127.0.0.1", 0))
            line.setblocking(False)
        ports = [line.getsockname()[1] for line in (a_line, b_line)]
        lines = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        path, decode_as = tmp_path / "mold.pcapng", [f"udp.port=={port},moldudp64" for port in ports]
        loop = asyncio.get_running_loop()
        received: dict[int, list[bytes]] = {port: [] for port in ports}
        async with captured(path, " or ".join(f"udp port {port}" for port in ports)):
            with simulator(tmp_path, config("mold_itch", "XBOS", f"lines = [{lines}]")) as sim:
                async with asyncio.timeout(WAIT_S):
                    for _ in range(200):
                        for line, port in zip((a_line, b_line), ports, strict=True):
                            received[port].append(await loop.sock_recv(line, 65_536))
                await settle(sim)
            for line, port in zip((a_line, b_line), ports, strict=True):
                drain(line, received[port])
            fields = ["udp.dstport", "moldudp64.session", "moldudp64.sequence", "moldudp64.count", "moldudp64.msglen"]
            count = sum(map(len, received.values()))
            frames = await dissected(path, decode_as, fields, only="moldudp64", counted=fields[2], count=count)
        for port in ports:
            seen = [frame for frame in frames if frame["udp.dstport"] == [str(port)]]
            expected = [struct.unpack_from(">10sQH", packet) for packet in received[port]]
            assert [
                (frame["moldudp64.session"][0].strip(), frame["moldudp64.sequence"][0], frame["moldudp64.count"][0])
                for frame in seen
            ] == [(session.decode().strip(), str(sequence), str(count)) for session, sequence, count in expected]
            messages = sum(count for _, _, count in expected if count != 0xFFFF)
            assert sum(len(frame["moldudp64.msglen"]) for frame in seen) == messages > 500
        assert_well_formed(path, decode_as)


def drain(line: socket.socket, received: list[bytes]) -> None:
    """Take what has come and was not read."""
    while True:
        try:
            received.append(line.recv(65_536))
        except BlockingIOError:
            return
