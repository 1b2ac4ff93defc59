"""Which role the claims of a sign-on service give. Pure: the settings read it before Django starts."""

from collections.abc import Iterable, Mapping
from typing import Any

from cdp.core.access import ROLE_SCOPES


def claims_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provider says of a person: the ID token's claims, and over them those of its userinfo."""
    return {**(data.get("id_token") or {}), **(data.get("userinfo") or {})}


def role_of(claims: Mapping[str, Any], *, claim: str, roles: Mapping[str, str]) -> str | None:
    """Return the role that the claims give, or None.

    Parameters
    ----------
    claim : str
        Where the groups are, with dots for what lies deeper: ``realm_access.roles``.
    roles : mapping
        Which group gives which role; ``*`` stands for anybody. With several, the one that may most counts.
    """
    found: Any = claims
    for part in claim.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    groups = {str(group) for group in found} if isinstance(found, (list, tuple)) else {str(found)} if found else set()
    given = [role for group, role in roles.items() if group in groups or group == "*"]
    return max(given, key=lambda role: len(ROLE_SCOPES[role]), default=None)


def read_roles(entries: Iterable[str]) -> dict[str, str]:
    """Read ``GROUP=ROLE`` entries.

    Raises
    ------
    ValueError
        If an entry has another form, or names no role.
    """
    roles = {}
    for entry in entries:
        group, equals, role = entry.rpartition("=")
        if not equals or not group or role not in ROLE_SCOPES:
            message = f"{entry!r} must be GROUP=ROLE, with a role of {', '.join(ROLE_SCOPES)}."
            raise ValueError(message)
        roles[group] = role
    return roles
