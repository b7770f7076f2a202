"""The UDP connector on real sockets: datagrams stay datagrams, pausing, groups, drops, request servers."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.feeds.peers import LineSession, now_ns, until
from tests.feeds.test_stage import running

from tickcast.feeds.udp import DATAGRAMS_MAX, SocketQueue, UdpConnection, open_udp, open_udp_line
from tickcast.model.errors import FeedError
from tickcast.venues.base import Link

GROUP = "239.255.77.1"


class Heard:
    """What a connection handed over."""

    def __init__(self) -> None:
        self.opened: list[UdpConnection] = []
        self.reads: list[tuple[list[bytes], int]] = []
        self.queue = SocketQueue()

    def on_data(self, chunks: list[bytes], at_ns: int) -> None:
        assert self.opened, "open comes before the first datagram"
        self.reads.append((chunks, at_ns))

    @property
    def datagrams(self) -> list[bytes]:
        return [chunk for chunks, _ in self.reads for chunk in chunks]


@contextlib.asynccontextmanager
async def line(heard: Heard, address: str, *, interface: str = "", buffer_bytes: int = 1 << 20) -> AsyncIterator[int]:
    connection = await open_udp_line(
        address,
        interface=interface,
        on_open=heard.opened.append,
        on_data=heard.on_data,
        clock=now_ns,
        buffer_bytes=buffer_bytes,
        queue=heard.queue,
    )
    try:
        yield connection._socket.getsockname()[1]
    finally:
        connection.abort("the test ends")


@contextlib.contextmanager
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_datagrams_stay_apart_and_one_wake_is_one_hand_over() -> None:
    heard = Heard()
    async with line(heard, "127.0.0.1:0") as port:
        sent = [b"%d" % number * 40 for number in range(100)] + [b"", b"\x00" * 9_000]
        with sender() as out:
            for datagram in sent:
                out.sendto(datagram, ("127.0.0.1", port))
        await until(lambda: len(heard.datagrams) == len(sent))
    assert heard.datagrams == sent
    assert len(heard.reads) == 1, "all were there before the loop looked"


async def test_a_flood_is_taken_in_parts() -> None:
    heard = Heard()
    async with line(heard, "127.0.0.1:0", buffer_bytes=8 << 20) as port:
        with sender() as out:
            for number in range(DATAGRAMS_MAX + 10):
                out.sendto(b"%d" % number, ("127.0.0.1", port))
        await until(lambda: len(heard.datagrams) == DATAGRAMS_MAX + 10)
    assert len(heard.reads[0][0]) == DATAGRAMS_MAX


async def test_what_comes_while_paused_waits_in_the_kernel_and_drops_are_counted() -> None:
    heard = Heard()
    async with line(heard, "127.0.0.1:0", buffer_bytes=16_384) as port:
        (connection,) = heard.opened
        connection.pause()
        with sender() as out:
            for number in range(500):
                out.sendto(b"%d" % number * 100, ("127.0.0.1", port))
        assert heard.reads == []
        if sys.platform.startswith("linux"):
            assert heard.queue.depth() > 0
            assert 0 < heard.queue.bound() <= 65_536
            assert heard.queue.drops() > 0
        dropped = heard.queue.drops()
        connection.resume()
        await until(lambda: len(heard.datagrams) >= 500 - dropped)
        assert len(heard.datagrams) == 500 - dropped or not sys.platform.startswith("linux")
    assert heard.queue.drops() == dropped, "kept over the end of the socket"
    assert heard.queue.depth() == 0


async def test_a_group_is_joined_on_the_interface_and_shared() -> None:
    port = free_port()
    first, second = Heard(), Heard()
    try:
        async with (
            line(first, f"{GROUP}:{port}", interface="127.0.0.1"),
            line(second, f"{GROUP}:{port}", interface="127.0.0.1"),
        ):
            with sender() as out:
                out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
                try:
                    out.sendto(b"to all", (GROUP, port))
                except OSError:
                    pytest.skip("no multicast on loopback here")
            for _ in range(100):
                if first.reads and second.reads:
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.skip("no multicast on loopback here")
            assert first.datagrams == second.datagrams == [b"to all"]
    except FeedError as wrong:
        pytest.skip(f"no multicast here: {wrong}")


async def test_a_unicast_address_is_ours_alone() -> None:
    heard = Heard()
    async with line(heard, "127.0.0.1:0") as port:
        with pytest.raises(FeedError, match="in use"):
            async with line(heard, f"127.0.0.1:{port}"):
                pass


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nohost", "expected host:port"),
        ("127.0.0.1:99999", "expected host:port"),
        ("localhost:1", "numeric address"),
        ("192.0.2.1:0", "cannot listen"),
        ("[ff02::1]:0", "IPv4 group"),
    ],
)
async def test_addresses_that_cannot_be_listened_at(address: str, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        async with line(Heard(), address):
            pass


async def test_a_request_server_is_asked_and_answers() -> None:
    heard = Heard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        connection = await open_udp(
            f"localhost:{server.getsockname()[1]}",
            on_open=heard.opened.append,
            on_data=heard.on_data,
            clock=now_ns,
            buffer_bytes=1 << 16,
            queue=heard.queue,
        )
        connection.send(b"give me 7")
        asked, whom = server.recvfrom(100)
        assert asked == b"give me 7"
        with sender() as stranger:
            stranger.sendto(b"forged", connection._socket.getsockname())
        server.sendto(b"seven", whom)
        await until(lambda: heard.reads)
    assert heard.datagrams == [b"seven"], "only the server is listened to"
    # nobody listens there any more: asking hurts nobody, and the link stays
    for _ in range(3):
        connection.send(b"give me 8")
        await asyncio.sleep(0.01)
    assert not connection.closed.done()
    connection.abort("the test ends")
    connection.abort("twice")
    connection.send(b"too late")
    assert connection.closed.result() == "the test ends"


async def test_a_feed_with_lines_sees_that_one_is_dead_and_ignores_who_is_only_asked() -> None:
    ports = [free_port(), free_port()]
    links = [
        Link(name=name, transport="udp_line", target=f"127.0.0.1:{port}")
        for name, port in zip("ab", ports, strict=True)
    ]
    links.append(Link(name="ask", transport="udp", target=f"127.0.0.1:{free_port()}"))
    async with running(LineSession(links), dead_after_s=0.6, stale_after_s=0.5) as (feed, publisher):
        await until(lambda: feed.health.report().connections == 3)
        with sender() as out:
            number = 0
            while feed.health.reconnects == 0:  # line b is silent and is opened again; line a and the server are not
                number += 1
                out.sendto(b"%d\n" % number, ("127.0.0.1", ports[0]))
                await asyncio.sleep(0.01)
        assert feed.health.last_error is not None
        assert feed.health.last_error.startswith("dead")
        assert feed.health.state == "connected"
        assert set(publisher.numbers) <= set(range(number + 1))
        assert feed.health.records > 10
        names = publisher.health[-1].queues.keys()
        assert {"feeds.f.a.socket", "feeds.f.b.socket"} <= names
