"""The address of the web process."""

import socket

import pytest

from cdp.embedded import EmbeddedError
from cdp.embedded.address import Address, check_free, is_healthy, read_address


def test_reads_host_port_and_url() -> None:
    assert read_address({}) == Address(host="127.0.0.1", port=8000, url="http://127.0.0.1:8000")
    env = {"CDP_HOST": "0.0.0.0", "CDP_PORT": "80", "CDP_BASE_URL": "https://cdp.example.org/"}
    assert read_address(env) == Address(host="0.0.0.0", port=80, url="https://cdp.example.org")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_refuses_a_port_that_is_none(port: str) -> None:
    with pytest.raises(EmbeddedError, match="from 1 to 65535"):
        read_address({"CDP_PORT": port})


def test_names_a_free_port_when_another_program_listens() -> None:
    # SO_REUSEPORT is what lets two web servers share a port without noticing.
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = Address(host="127.0.0.1", port=port, url="")
        with pytest.raises(EmbeddedError, match=rf"{port} is taken .*CDP_PORT={port + 1} make up"):
            check_free(taken)
    check_free(taken)
    assert not is_healthy(taken)


def test_refuses_a_host_that_is_no_address_of_this_machine() -> None:
    with pytest.raises(EmbeddedError, match="CDP_HOST"):
        check_free(Address(host="192.0.2.1", port=8000, url=""))
