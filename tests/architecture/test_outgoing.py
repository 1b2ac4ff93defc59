"""Only one module connects to servers of others (docs/decisions/0010-outgoing-http.md)."""

from tests.architecture.source import files, imported, name_of

# What opens connections, or brings a client that does.
CONNECTING = {
    "aiohttp",
    "asyncio",
    "ftplib",
    "http.client",
    "httpx",
    "imaplib",
    "poplib",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "xmlrpc",
}
MAY_CONNECT = {
    "cdp/core/authorities.py": "asks where the system's certificates lie",
    "cdp/core/outgoing.py": "is the place",
    "cdp/core/services/mail.py": "names an error of Django's mail, whose server the operator sets",
    "cdp/core/sign_in/transport.py": "hands what `requests` would send to the place",
    "cdp/embedded/address.py": "asks whether the own port is free and the own web process healthy",
    "cdp/embedded/servers.py": "starts the embedded servers",
    "cdp/embedded/valkey.py": "starts the embedded Valkey",
    "ingestion/demo/send.py": "sends the demo's data to the product itself",
}


def connects(target: str) -> bool:
    return any(target == name or target.startswith(f"{name}.") for name in CONNECTING)


def test_only_the_guarded_module_connects_to_other_servers():
    found = {name_of(path) for path in files() for target in imported(path) if connects(target)}
    assert found - MAY_CONNECT.keys() == set()


def test_nothing_is_excepted_that_does_not_connect():
    found = {name_of(path) for path in files() for target in imported(path) if connects(target)}
    assert MAY_CONNECT.keys() - found == set()
