"""The address that the web process listens on."""

import errno
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cdp.embedded.errors import AddressTaken


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port, and the URL that people use."""

    host: str
    port: int
    url: str


def read_address(env: Mapping[str, str] = os.environ) -> Address:
    """Read ``CDP_HOST``, ``CDP_PORT`` and ``CDP_BASE_URL``."""
    host = env.get("CDP_HOST") or "127.0.0.1"
    port = env.get("CDP_PORT") or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise AddressTaken(f"CDP_PORT must be a number from 1 to 65535, not {port!r}.")
    return Address(host=host, port=int(port), url=(env.get("CDP_BASE_URL") or f"http://{host}:{port}").rstrip("/"))


def check_free(address: Address) -> None:
    """Make sure that the web process can listen there.

    It would not notice itself: it listens with SO_REUSEPORT and would share the port with a stranger.
    """
    where = f"{address.host}:{address.port}"
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
            probe.listen(1)
    except socket.gaierror as error:
        raise AddressTaken(f"CDP_HOST={address.host} is no address of this machine. Try CDP_HOST=127.0.0.1") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = (
                f"Port {where} is taken by another program. Choose another port (CDP_PORT={address.port + 1} make up), "
                f"or see who has it (ss -ltnp 'sport = :{address.port}', on macOS lsof -i :{address.port}) and stop it."
            )
        elif error.errno == errno.EACCES:
            message = f"Port {where} is reserved for root. Choose one above 1023, for example CDP_PORT=8000."
        else:
            message = f"The web server cannot listen on {where}: {error.strerror}. Set CDP_HOST and CDP_PORT."
        raise AddressTaken(message) from error


def is_healthy(address: Address) -> bool:
    """Tell whether ``GET /healthz`` answers 200."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address.host, address.host)  # noqa: S104 - not bound, asked
    request = urllib.request.Request(
        f"http://{host}:{address.port}/healthz", headers={"Host": urlsplit(address.url).netloc}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
