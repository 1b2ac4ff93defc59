"""What a message says of the device it came from: its address, shortened as the source wants it, and its browser.

References
----------
Truncation as analytics products do it: an IPv4 address without its last 8 bits, an IPv6 address without its last 80.
"""

import ipaddress
import time
from typing import Any

from ua_parser import parse

NONE, TRUNCATED, FULL = "none", "truncated", "full"
KEPT_BITS = {4: 24, 6: 48}
PARSED = "userAgentParsed"
MAX_CHARACTERS = 512
# Parsing a browser's name takes about a millisecond, a hostile one 30. They are few and remembered; of what nobody has
# seen before, a batch parses as many as fit into this.
SECONDS_A_BATCH = 0.05
REMEMBERED = 20_000


def shorten_address(text: Any, rule: str) -> str:
    """Return an address as a source may keep it; ``""``: not at all, or it is none.

    Parameters
    ----------
    text : object
        As given.
    rule : str
        ``none``, ``truncated`` or ``full``.
    """
    if rule == NONE or not isinstance(text, str):
        return ""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if rule == FULL:
        return str(address)
    return str(ipaddress.ip_network((address, KEPT_BITS[address.version]), strict=False).network_address)


class UserAgents:
    """Parses user agents and remembers them, within a budget of time for each batch."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}
        self._left = SECONDS_A_BATCH

    def begin_batch(self) -> None:
        """Give a batch its budget."""
        self._left = SECONDS_A_BATCH
        if len(self._known) > REMEMBERED:
            self._known.clear()

    def read(self, text: Any) -> dict[str, str] | None:
        """Return ``browser``, ``browserVersion``, ``os``, ``osVersion`` and ``device``, as far as they are known.

        Returns
        -------
        dict or None
            None if nothing was recognised, or if the budget is used up.
        """
        if text.__class__ is not str or not text or len(text) > MAX_CHARACTERS:
            return None
        found = self._known.get(text)
        if found is None:
            if self._left <= 0:
                return None
            began_at = time.perf_counter()
            found = self._known[text] = _parse(text)
            self._left -= time.perf_counter() - began_at
        return dict(found) or None


def _parse(text: str) -> dict[str, str]:
    result = parse(text)
    named: dict[str, str | None] = {}
    if result.user_agent is not None:
        named |= {"browser": result.user_agent.family, "browserVersion": result.user_agent.major}
    if result.os is not None:
        named |= {"os": result.os.family, "osVersion": result.os.major}
    if result.device is not None:
        named["device"] = result.device.family
    return {name: value for name, value in named.items() if value}


user_agents = UserAgents()
