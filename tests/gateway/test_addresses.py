from hypothesis import given
from hypothesis import strategies as st

from tickcast.gateway.addresses import Addresses
from tickcast.gateway.config import Config

SECOND_NS = 1_000_000_000


def limited(
    *, connections: int = 2, handshakes: int = 0, table_max: int = 100, exempt: tuple[str, ...] = ()
) -> Addresses:
    return Addresses(
        Config(
            connections_per_address_max=connections,
            handshakes_per_second_per_address=handshakes,
            addresses_exempt=exempt,
        ),
        table_max=table_max,
    )


def test_connections_beyond_the_limit_are_refused_then_cut() -> None:
    addresses = limited()
    verdicts = [addresses.arrive("192.0.2.1", 0)[1] for _ in range(6)]
    assert verdicts == ["welcome", "welcome", "refuse", "refuse", "cut", "cut"]
    assert addresses.arrive("192.0.2.2", 0)[1] == "welcome"


def test_a_connection_that_ends_makes_room() -> None:
    addresses = limited(connections=1)
    key, _ = addresses.arrive("192.0.2.1", 0)
    refused, verdict = addresses.arrive("192.0.2.1", 0)
    assert verdict == "refuse"
    addresses.leave(refused, refused=True)
    addresses.leave(key)
    assert addresses.arrive("192.0.2.1", 0) == (key, "welcome")


def test_an_ipv6_network_of_64_bits_is_one_address() -> None:
    addresses = limited(connections=1)
    assert addresses.arrive("2001:db8:0:1::1", 0)[1] == "welcome"
    assert addresses.arrive("2001:db8:0:1:ffff::2", 0)[1] == "refuse"
    assert addresses.arrive("2001:db8:0:2::1", 0)[1] == "welcome"


def test_a_mapped_ipv4_address_is_that_address() -> None:
    addresses = limited(connections=1)
    assert addresses.arrive("::ffff:192.0.2.1", 0)[0] == addresses.arrive("192.0.2.1", 0)[0]


def test_exempt_networks_have_no_limit_and_take_no_entry() -> None:
    addresses = limited(connections=1, exempt=("127.0.0.0/8", "::1/128", "10.1.0.0/16"))
    for address in ("127.0.0.1", "::1", "10.1.2.3", "::ffff:127.0.0.9"):
        assert [addresses.arrive(address, 0) for _ in range(3)] == [("", "welcome")] * 3
    assert len(addresses) == 0
    assert addresses.arrive("10.2.0.1", 0)[0] == "10.2.0.1"


def test_handshakes_have_a_rate_and_a_burst() -> None:
    addresses = limited(connections=0, handshakes=2)
    key, _ = addresses.arrive("192.0.2.1", 0)
    assert [addresses.handshake(key, 0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert addresses.handshake(key, SECOND_NS // 2) == 0.0
    assert addresses.handshake(key, SECOND_NS // 2) == 0.5
    assert [addresses.handshake(key, 60 * SECOND_NS) for _ in range(3)] == [0.0, 0.0, 0.5]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    addresses = limited(connections=0, handshakes=1)
    key, _ = addresses.arrive("192.0.2.1", 10 * SECOND_NS)
    assert addresses.handshake(key, 10 * SECOND_NS) == 0.0
    assert addresses.handshake(key, 5 * SECOND_NS) == 1.0
    assert addresses.handshake(key, 11 * SECOND_NS) == 0.0


def test_reconnecting_does_not_renew_the_allowance() -> None:
    addresses = limited(connections=5, handshakes=1)
    key, _ = addresses.arrive("192.0.2.1", 0)
    assert addresses.handshake(key, 0) == 0.0
    addresses.leave(key)
    again, _ = addresses.arrive("192.0.2.1", 0)
    assert addresses.handshake(again, 0) > 0


def test_a_full_table_forgets_who_is_gone_and_lets_others_in_unlimited() -> None:
    addresses = limited(connections=1, table_max=2)
    first, _ = addresses.arrive("192.0.2.1", 0)
    addresses.arrive("192.0.2.2", 0)
    assert addresses.arrive("192.0.2.3", 0) == ("", "welcome")
    assert addresses.unlimited == 1
    addresses.leave(first)
    assert addresses.arrive("192.0.2.3", 0) == ("192.0.2.3", "welcome")
    assert len(addresses) == 2


def test_no_limits_take_no_entries() -> None:
    addresses = limited(connections=0, handshakes=0)
    assert addresses.arrive("192.0.2.1", 0) == ("", "welcome")
    assert addresses.handshake("", 0) == 0.0
    assert len(addresses) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_nobody_ever_holds_more_than_the_limit(steps: list[tuple[int, bool]]) -> None:
    addresses = limited(connections=3, table_max=4)
    held: dict[str, list[str]] = {}
    for number, comes in steps:
        address = f"192.0.2.{number}"
        if comes:
            key, verdict = addresses.arrive(address, 0)
            if key:
                held.setdefault(key, []).append(verdict)
        elif held.get(address):
            addresses.leave(address, refused=held[address].pop() == "refuse")
        for verdicts in held.values():
            assert verdicts.count("welcome") <= 3
            assert verdicts.count("refuse") <= 3
    assert len(addresses) <= 4
