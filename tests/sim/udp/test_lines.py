"""Sending on redundant lines: pacing, bounds, multicast, faults of one line."""

import asyncio
import socket
import struct
import sys

import pytest
from tests.sim.udp.sockets import Socket

from tickcast.sim.faults import Fault, FaultGate
from tickcast.sim.udp import lines as module
from tickcast.sim.udp.lines import BURST, Line, Lines, touched

_IP_RECVTTL = 12
"""Linux' number; Python 3.11 has no name for it."""


def packets(number: int) -> list[bytes]:
    return [b"%05d" % n for n in range(number)]


async def test_a_long_burst_leaves_in_groups_and_in_order() -> None:
    receiver = Socket()
    line = Line("V", "A", receiver.address)
    line.send(packets(10))
    assert line.state()["waiting"] == 10, "before the start it waits"
    line.start()
    line.send(packets(1000)[10:])
    assert line.packets <= 10 + BURST
    assert await receiver.wait(lambda found: len(found) == 1000) == packets(1000)
    assert (line.packets, line.bytes) == (1000, 5000)
    line.send(packets(500))
    line.stop()
    assert len(await receiver.wait(lambda found: len(found) == 1500)) == 1500, "what waits goes before the end"
    receiver.close()


async def test_what_has_no_room_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_MAX", 100)
    receiver = Socket()
    line = Line("V", "A", receiver.address)
    line.send(packets(130))
    assert (line.state()["waiting"], line.dropped) == (100, 30)
    line.start()
    assert await receiver.wait(lambda found: len(found) == 100) == packets(100)
    line.stop()
    receiver.close()


async def test_a_packet_that_cannot_leave_is_counted() -> None:
    receiver = Socket()
    line = Line("V", "A", receiver.address)
    line.start()
    line.send([b"x" * 70_000, b"y"])
    assert await receiver.wait(len) == [b"y"]
    assert (line.unsent, line.packets) == (1, 1)
    line.stop()
    receiver.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the option that tells a datagram's TTL has Linux' number here")
async def test_multicast_leaves_by_the_interface_with_the_ttl() -> None:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("239.192.77.1", 0))
    port = receiver.getsockname()[1]
    joined = socket.inet_aton("239.192.77.1") + socket.inet_aton("127.0.0.1")
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    receiver.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
    receiver.settimeout(0)
    line = Line("V", "A", f"239.192.77.1:{port}", interface="127.0.0.1", ttl=3)
    line.start()
    line.send([b"hello"])
    async with asyncio.timeout(10.0):
        while True:
            try:
                data, ancillary, _, _ = receiver.recvmsg(100, 100)
                break
            except BlockingIOError:
                await asyncio.sleep(0.002)
    line.stop()
    receiver.close()
    assert data == b"hello"
    assert [struct.unpack("i", value)[0] for _, kind, value in ancillary if kind == socket.IP_TTL] == [3]


async def test_a_fault_of_one_line_leaves_the_other_alone() -> None:
    a, b = Socket(), Socket()
    gate = FaultGate(lines=("A/1", "A/2", "B/1"), ordered=False)
    both = Lines([Line("V", "A", a.address), Line("V", "B", b.address)], gate)
    both.start()
    gate.arm(Fault(fault="drop", line="A/1", for_s=600))
    both.send([b"one"], suffix="/1")
    both.send([b"two"], suffix="/2")
    assert await b.wait(lambda found: len(found) == 2) == [b"one", b"two"]
    assert await a.wait(len) == [b"two"]
    both.stop()
    a.close()
    b.close()


def test_an_answer_is_lost_spoilt_cut_doubled_or_late() -> None:
    gate = FaultGate(body=2, ordered=False)
    assert touched(gate, "x", b"answer") == ([b"answer"], 0.0)
    gate.arm(Fault(fault="drop", count=1))
    assert touched(gate, "x", b"answer") == ([], 0.0)
    gate.arm(Fault(fault="corrupt", count=1))
    gate.arm(Fault(fault="duplicate", count=1))
    ((one, two), _) = touched(gate, "x", b"answer")
    assert one == two
    assert one[:2] == b"an"
    assert one != b"answer"
    gate.arm(Fault(fault="truncate", count=1))
    gate.arm(Fault(fault="delay", count=1, delay_ms=50))
    assert touched(gate, "x", b"answer") == ([b"ans"], 0.05)
    gate.arm(Fault(fault="stall", for_s=600))
    assert touched(gate, "x", b"answer") == ([], 0.0)
