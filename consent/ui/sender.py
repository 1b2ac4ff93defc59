"""What a public page knows of whoever sends it in, as evidence: the browser's family and a truncated address."""

import ipaddress
from typing import Any

from django.http import HttpRequest
from ua_parser import parse_user_agent

from cdp.core.client_address import client_address
from cdp.core.senders import has_gpc

KEPT_BITS = {4: 24, 6: 48}
MAX_USER_AGENT_CHARACTERS = 512


def evidence_of(request: HttpRequest) -> dict[str, Any]:
    """Return evidence of a request, without anything that names a person."""
    evidence: dict[str, Any] = {}
    agent = parse_user_agent(request.headers.get("User-Agent", "")[:MAX_USER_AGENT_CHARACTERS])
    if agent is not None:
        evidence["user_agent"] = agent.family
    if address := truncated_address(request):
        evidence["ip"] = address
    if has_gpc(request.META.get("HTTP_SEC_GPC", "")):
        evidence["gpc"] = True
    return evidence


def truncated_address(request: HttpRequest) -> str:
    """Return the sender's address without its last 8 bits (IPv6: its last 80); ``""`` if it is not known."""
    return _truncate(client_address(request))


def _truncate(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, KEPT_BITS[address.version]), strict=False).network_address)
