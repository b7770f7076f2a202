"""MoldUDP64 packets for tests, from the specification alone."""

import struct


def parse(packet: bytes) -> tuple[str, int, int, list[bytes]]:
    """Session, sequence number, count and messages; asserts that the packet is whole."""
    session, sequence, count = packet[:10], *struct.unpack(">QH", packet[10:20])
    messages = []
    place = 20
    while place < len(packet):
        (length,) = struct.unpack(">H", packet[place : place + 2])
        messages.append(packet[place + 2 : place + 2 + length])
        assert len(messages[-1]) == length
        place += 2 + length
    assert len(messages) == (0 if count == 0xFFFF else count)
    return session.decode(), sequence, count, messages


def by_number(packets: list[bytes], session: str) -> dict[int, bytes]:
    """Messages of one session by sequence number; what comes twice is the same."""
    found: dict[int, bytes] = {}
    for packet in packets:
        name, sequence, _, messages = parse(packet)
        if name == session:
            for number, message in enumerate(messages, sequence):
                assert found.setdefault(number, message) == message
    return found


def request(session: str, first: int, count: int) -> bytes:
    return session.rjust(10).encode() + struct.pack(">QH", first, count)
