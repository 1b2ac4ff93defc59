"""Where the product may connect to: the reading of URLs, and the addresses that no URL may lead to.

Somebody who may type a URL (a webhook, the endpoint that a source forwards to) must not reach through the product what
only the product's machine can reach: its own services, the network behind it, the cloud's metadata. Everything here is
pure; `cdp.core.outgoing` looks names up and connects.

References
----------
OWASP ASVS 5.0, 1.3.6 and 15.3.2; the IANA special-purpose address registries (RFC 6890); RFC 6052 (NAT64).
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import idna

from cdp.core.errors import CdpError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 2048
LONGEST_HOST = 253
ANY_PORT = 0

# What an address is, where it is not one of the public internet. The first that fits is named in the refusal.
CLOSED: tuple[tuple[str, tuple[IpNetwork, ...]], ...] = tuple(
    (kind, tuple(ipaddress.ip_network(network) for network in networks))
    for kind, networks in (
        ("this host", ("0.0.0.0/8", "::/128")),
        ("loopback", ("127.0.0.0/8", "::1/128")),
        ("cloud metadata", ("169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128")),
        ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        ("shared", ("100.64.0.0/10",)),
        ("link-local", ("169.254.0.0/16", "fe80::/10")),
        ("multicast", ("224.0.0.0/4", "ff00::/8")),
        # An IPv4 address in IPv6 clothes: each of these reaches what the list forbids, so none is unpacked.
        (
            "a translated address",
            ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"),
        ),
        (
            "reserved",
            (
                "192.0.0.0/24",
                "192.0.2.0/24",
                "192.88.99.0/24",
                "198.18.0.0/15",
                "198.51.100.0/24",
                "203.0.113.0/24",
                "240.0.0.0/4",
                "2001::/23",
                "2001:db8::/32",
                "3fff::/20",
            ),
        ),
    )
)
# Of IPv6 only this is the public internet.
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
# What the name of a host in the installation's list opens; all else opens only to a network that is written out, so
# that an answer of the name server for an allowed name cannot reach the metadata of the cloud.
OPENED_BY_NAME = {"loopback", "private", "shared"}

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
# What resolvers read as a number (RFC 3986, 7.4): decimal, octal or hexadecimal, in one to four parts.
_NUMBER_AT_END = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_BREAKING = re.compile(r"[\x00-\x20\x7f-\x9f\\]")


class OutgoingRefused(CdpError):
    """The URL does not lead to a place that the product may connect to; nothing was sent."""

    code = "outgoing.refused"
    title = "The address may not be called"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, read: `host` is lower-case ASCII or an address, `path` is what stands in the request line."""

    scheme: str
    host: str
    port: int
    path: str
    address: IpAddress | None

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, ipaddress.IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a kept connection serves."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of the installation's list: a host by name or a network; `port` None means the usual ports."""

    name: str | None
    network: IpNetwork | None
    port: int | None

    def opens_port(self, port: int, usual: Iterable[int]) -> bool:
        """Tell whether the entry is for this port."""
        return port in usual if self.port is None else self.port in {ANY_PORT, port}


def read_url(url: str) -> Target:
    """Read the URL of an outgoing request.

    Raises
    ------
    OutgoingRefused
        It is no URL with http or https, or one that two programs could read in two ways: with a user name, control
        characters, a backslash, an address not written as usual.
    """
    if len(url) > LONGEST_URL:
        raise OutgoingRefused(f"The URL is longer than {LONGEST_URL} characters.")
    if _BREAKING.search(url):
        raise OutgoingRefused("The URL holds a space, a control character or a backslash. Write them as %20 and so on.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise OutgoingRefused("The URL cannot be read: look at its brackets and its port.") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise OutgoingRefused("The URL must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise OutgoingRefused("The URL must not hold a user name or password: send them in a header.")
    if not host:
        raise OutgoingRefused("The URL names no host.")
    if port == 0:
        raise OutgoingRefused("0 is no port. Leave it out for the usual one.")
    host, address = read_host(host, bracketed="[" in parts.netloc)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._") if parts.query else ""
    return Target(scheme=scheme, host=host, port=port or DEFAULT_PORTS[scheme], path=path + query, address=address)


def read_host(host: str, *, bracketed: bool = False) -> tuple[str, IpAddress | None]:
    """Return a host as lower-case ASCII, and its address if it is one.

    A trailing dot goes: it would be another name to whoever compares names. International names become IDNA 2008,
    after which what only looked like a name may be an address (``①②⑦.⓪.⓪.①``).
    """
    if bracketed:
        try:
            address: IpAddress = ipaddress.IPv6Address(host)
        except ValueError as error:
            raise OutgoingRefused("What stands in brackets is no IPv6 address.") from error
        if "%" in host:
            raise OutgoingRefused("An address with a zone (%) is one of the local network.")
        return address.compressed, address
    name = _ascii(host).lower().removesuffix(".")
    if _NUMBER_AT_END.fullmatch(name):
        try:
            address = ipaddress.IPv4Address(name)
        except ValueError as error:
            raise OutgoingRefused("Write an address as four numbers from 0 to 255, such as 198.51.100.7.") from error
        return name, address
    if not _NAME.fullmatch(name):
        raise OutgoingRefused("The URL's host is no valid name.")
    return name, None


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise OutgoingRefused("The URL's host is no valid international name.") from error


def read_allowances(entries: Iterable[str]) -> tuple[Allowance, ...]:
    """Read the installation's list: ``crm.internal``, ``crm.internal:8443``, ``10.20.0.0/16``, ``[fd00::/8]:*``.

    Raises
    ------
    OutgoingRefused
        An entry is neither a host nor a network, or its port is none.
    """
    return tuple(_read_allowance(entry.strip()) for entry in entries if entry.strip())


def _read_allowance(entry: str) -> Allowance:
    if entry.startswith("["):
        place, _, rest = entry[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    else:
        colon = ":" if entry.count(":") == 1 else ""
        place, port = entry.split(":") if colon else (entry, "")
    if (colon or port) and port != "*" and not (colon == ":" and port.isdecimal() and 0 < int(port) < 65536):
        raise OutgoingRefused(f"{entry}: the port must be a number from 1 to 65535, or * for any.")
    number = None if not port else ANY_PORT if port == "*" else int(port)
    try:
        return Allowance(name=None, network=ipaddress.ip_network(place, strict=False), port=number)
    except ValueError:
        return Allowance(name=read_host(place)[0], network=None, port=number)


def closed_kind(address: IpAddress) -> str | None:
    """Tell what an address is, if the product may not connect to it unless the installation says so; else None."""
    for kind, networks in CLOSED:
        if any(address.version == network.version and address in network for network in networks):
            return kind
    if isinstance(address, ipaddress.IPv6Address) and address not in PUBLIC_IPV6:
        return "reserved"
    return None


def check_addresses(
    target: Target, addresses: Sequence[IpAddress], *, allowances: Iterable[Allowance], ports: Iterable[int]
) -> None:
    """Make sure that every address that the target's name resolves to may be connected to.

    All of them are looked at, not only the one that will be used: a name with one good and one bad answer is an attack
    or a mistake.

    Raises
    ------
    OutgoingRefused
        There is no address, one of them is not of the public internet, or the port is not one of `ports`; and the
        installation's list does not open it. The message names no address: who reads it may not know the network.
    """
    usual = frozenset(ports)
    listed = [entry for entry in allowances if entry.opens_port(target.port, usual)]
    if not addresses:
        raise OutgoingRefused(f"{target.host} has no address.")
    for address in addresses:
        by_name = any(entry.name == target.host for entry in listed)
        by_network = any(entry.network is not None and _within(address, entry.network) for entry in listed)
        if not (by_name or by_network) and target.port not in usual:
            raise OutgoingRefused(
                f"Port {target.port} is not among those that may be called ({', '.join(map(str, sorted(usual)))}). "
                "An operator can add it (CDP_OUTGOING_PORTS, CDP_OUTGOING_ALLOW)."
            )
        kind = closed_kind(address)
        if kind is None or by_network or (by_name and kind in OPENED_BY_NAME):
            continue
        raise OutgoingRefused(
            f"{target.host} leads to an address that is not on the public internet ({kind}). If this is meant, an "
            "operator can allow the host or its network (CDP_OUTGOING_ALLOW)."
        )


def is_listed(target: Target, allowances: Iterable[Allowance]) -> bool:
    """Tell whether the installation's list names the host, or its network where the URL holds an address."""
    return any(
        entry.name == target.host
        or (entry.network is not None and target.address is not None and _within(target.address, entry.network))
        for entry in allowances
    )


def _within(address: IpAddress, network: IpNetwork) -> bool:
    return address.version == network.version and address in network
