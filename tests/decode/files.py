"""Captures built by hand: packets in pcap files, MoldUDP64 and PITCH packets, PITCH messages, FIX messages."""

import gzip
import json
import lzma
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import zstandard
from click.testing import CliRunner, Result

from tickcast.cli.main import cli

SECOND_NS = 1_000_000_000
DAY = 1_580_360_400  # 2020-01-30 00:00 in New York


def framed(messages: Iterable[bytes]) -> bytes:
    """ITCH messages, each behind its length."""
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


def mold(messages: Sequence[bytes], first: int, session: bytes = b"SESSION001") -> bytes:
    return session + first.to_bytes(8, "big") + len(messages).to_bytes(2, "big") + framed(messages)


def unit(messages: Sequence[bytes], first: int, number: int = 1) -> bytes:
    body = b"".join(messages)
    return struct.pack("<HBBI", 8 + len(body), len(messages), number, first) + body


def datagram(payload: bytes, *, line: int = 1) -> bytes:
    """Ethernet, IPv4, UDP."""
    udp = struct.pack(">HHHH", 1000, 26400, 8 + len(payload), 0) + payload
    target = bytes([233, 54, 12, line])
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x0a\0\0\1", target)
    return b"\x01\0\x5e\0\0\1\2\0\0\0\0\1\x08\0" + ip + udp


def pcap(packets: Iterable[tuple[int, bytes]]) -> bytes:
    """Ethernet packets with their times in ns."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)]
    for ts_ns, packet in packets:
        out.append(struct.pack("<IIII", *divmod(ts_ns, SECOND_NS), len(packet), len(packet)) + packet)
    return b"".join(out)


def pcapng(packets: Iterable[tuple[int, bytes]]) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        length = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + length + body + length

    options = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    out = [
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, struct.pack("<HHI", 1, 0, 0) + options),
    ]
    for ts_ns, packet in packets:
        head = struct.pack("<IIIII", 0, ts_ns >> 32, ts_ns & 0xFFFFFFFF, len(packet), len(packet))
        out.append(block(6, head + packet))
    return b"".join(out)


# ------------------------------------------------------------------ PITCH


def pitch_time(seconds: int) -> bytes:
    return struct.pack("<BBI", 6, 0x20, seconds)


def pitch_add(order: int, side: str, shares: int, price: int, symbol: str = "AAPL") -> bytes:
    body = struct.pack("<IQsI6sQB", 0, order, side.encode(), shares, symbol.encode().ljust(6), price, 1)
    return struct.pack("<BB", 2 + len(body), 0x21) + body


def pitch_execute(order: int, shares: int, execution: int, offset_ns: int = 0) -> bytes:
    body = struct.pack("<IQIQ", offset_ns, order, shares, execution)
    return struct.pack("<BB", 2 + len(body), 0x23) + body


# ------------------------------------------------------------------ FIX


def fix(fields: str, *, begin: str = "FIX.4.4", wrong_sum: bool = False) -> bytes:
    """``fields`` divided by ``|``, without 8, 9 and 10."""
    body = (fields.replace("|", "\x01") + "\x01").encode()
    head = f"8={begin}\x019={len(body)}\x01".encode() + body
    return head + f"10={(sum(head) + wrong_sum) % 256:03}\x01".encode()


# ------------------------------------------------------------------ running


def compressed(data: bytes, name: str) -> bytes:
    if name == "gz":
        return gzip.compress(data)
    if name == "xz":
        return lzma.compress(data)
    return zstandard.compress(data) if name == "zst" else data


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["decode", *map(str, arguments)], input=stdin)


def records(result: Result, kind: str = "") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [record for record in found if not kind or record["kind"] == kind]


def summary(*arguments: str | Path, stdin: bytes | None = None) -> dict[str, Any]:
    result = run(*arguments, "--summary", "--format", "json", stdin=stdin)
    assert result.exit_code in {0, 3}, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found
