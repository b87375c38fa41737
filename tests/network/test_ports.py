"""Ports are looked at as the kernel has them."""

import socket

import pytest

from steelyard.network.ports import exposed, free_block, is_free


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - what is to be seen
def test_an_occupied_port_is_seen(host: str) -> None:
    with socket.create_server((host, 0)) as one:
        assert not is_free(one.getsockname()[1])
        port = one.getsockname()[1]
    assert is_free(port)


def test_a_block_is_free_and_in_a_row() -> None:
    first = free_block(25)
    assert all(is_free(port) for port in range(first, first + 25))


@pytest.mark.parametrize(
    ("family", "host", "open_to_all"),
    [
        (socket.AF_INET, "127.0.0.1", False),
        (socket.AF_INET, "127.0.0.5", False),
        (socket.AF_INET, "0.0.0.0", True),  # noqa: S104 - what is to be seen
        (socket.AF_INET6, "::1", False),
        (socket.AF_INET6, "::", True),
        (socket.AF_INET6, "::ffff:127.0.0.1", False),
    ],
)
def test_who_listens_beyond_the_loopback_is_seen(family, host: str, open_to_all: bool) -> None:
    try:
        one = socket.socket(family)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind((host, 0))
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    with one:
        port = one.getsockname()[1]
        assert exposed([port]) == set(), "it does not listen yet"
        one.listen()
        assert (port in exposed([port])) is open_to_all
        assert exposed([]) == set()
