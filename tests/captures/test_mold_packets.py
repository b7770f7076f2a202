"""Packets of the real TotalView lines pass through the arbiter; some have session and sequence number zeroed."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.venues.captures import capture

from tickcast import _native

FILES = (
    "Nasdaq.Equities.TotalView.Itch.v5.0/Multiple.Packets.pcap",
    "Nasdaq.Equities.TotalView.Itch.v5.0.20230822/SystemEvent.pcap",
)
"""One of each folder; the others lie beside it."""


def payloads(path: Path) -> Iterator[bytes]:
    """UDP payloads of a classic little-endian pcap of Ethernet frames, with or without a VLAN tag."""
    data = path.read_bytes()
    place = 24
    while place < len(data):
        _, _, kept, _ = struct.unpack_from("<4I", data, place)
        frame = data[place + 16 : place + 16 + kept]
        place += 16 + kept
        ip = 18 if frame[12:14] == b"\x81\x00" else 14
        udp = ip + (frame[ip] & 15) * 4
        length = int.from_bytes(frame[udp + 4 : udp + 6], "big")
        yield frame[udp + 8 : udp + length]


@pytest.mark.captures
@pytest.mark.parametrize("name", FILES)
def test_every_packet_is_whole_and_understood(name: str) -> None:
    for path in sorted(capture(f"omi-data-packets/Nasdaq/{name}").parent.glob("*.pcap")):
        packets = list(payloads(path))
        arbiter = _native.LineArbiter("moldudp64", recorded=True)
        blocks = arbiter.take(packets, list(range(len(packets))))
        for unit, _, last, _ in arbiter.holes():
            blocks += arbiter.skip(unit, last)
        assert sum(block.count for block in blocks) == sum(int.from_bytes(one[18:20], "big") for one in packets), (
            path.name
        )
        assert arbiter.line(0)["damaged"] == 0
        is_numbered = any(int.from_bytes(packet[10:18], "big") for packet in packets)
        decoder = _native.ItchDecoder("XNAS", 0)
        for block in blocks:
            assert (block.first_seq > 0) == is_numbered
            decoded = decoder.decode(block.messages, block.first_seq, 1)
            assert (decoded.messages, decoded.dead_count) == (block.count, 0), path.name
