"""Who may do what: scopes, the four roles that stand for many of them, and what is hidden without the right to see it.

A scope is `RESOURCE:read` or `RESOURCE:write`; writing includes reading of the same resource, because every write
answers with the thing written. A role is a name that expands to scopes, for API keys and for people alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cdp.core.errors import InvalidInput, NotAllowed

RESOURCES = (
    "sources",
    "profiles",
    "identity",
    "segments",
    "consents",
    "privacy",
    "suppressions",
    "keys",
    "audit",
)
PERSONAL_DATA = "personal_data:read"
ALL_SCOPES = frozenset({f"{resource}:{act}" for resource in RESOURCES for act in ("read", "write")} | {PERSONAL_DATA})

ADMINISTRATOR = "administrator"
MARKETER = "marketer"
COMPLIANCE_OFFICER = "compliance_officer"
INTEGRATOR = "integrator"

# Marketers and integrators work with people as groups and messages, so they see personal data masked. Integrators own
# the ways in and the rules of identity; consent, erasure and the audit trail belong to the compliance officer.
ROLE_SCOPES: dict[str, frozenset[str]] = {
    ADMINISTRATOR: ALL_SCOPES,
    MARKETER: frozenset(
        {"sources:read", "profiles:read", "identity:read", "segments:read", "segments:write", "consents:read"}
    ),
    COMPLIANCE_OFFICER: frozenset(
        {
            "sources:read",
            "profiles:read",
            # Rectification: putting right what is held about a person (GDPR Art. 16).
            "profiles:write",
            "identity:read",
            "segments:read",
            "consents:read",
            "consents:write",
            "privacy:read",
            "privacy:write",
            "suppressions:read",
            "suppressions:write",
            "audit:read",
            PERSONAL_DATA,
        }
    ),
    INTEGRATOR: frozenset(
        {
            "sources:read",
            "sources:write",
            "profiles:read",
            "profiles:write",
            "identity:read",
            "identity:write",
            "segments:read",
            "consents:read",
        }
    ),
}
ROLE_NAMES = {
    ADMINISTRATOR: "Administrator",
    MARKETER: "Marketer",
    COMPLIANCE_OFFICER: "Compliance officer",
    INTEGRATOR: "Integrator",
}


class UnknownScope(InvalidInput):
    """A scope or role has a name that this product does not know."""

    code = "access.unknown_scope"
    title = "Unknown scope"


class MissingScope(NotAllowed):
    """The caller lacks a scope that the request needs."""

    code = "access.missing_scope"


class LimitedToSources(NotAllowed):
    """The API key is limited to some sources, and the request is about something else."""

    code = "access.limited_to_sources"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: an API key, a signed-in person or the system itself.

    Attributes
    ----------
    actor : str
        ``key:NAME``, ``user:ID`` or ``system``, as the audit trail names it.
    scopes : frozenset of str
        What it may do, roles already expanded.
    user_id : int or None
        The signed-in person, for rights on single objects; None for keys.
    sources : frozenset of str or None
        The keys of the sources that an API key is limited to; None for no such limit.
    """

    actor: str
    scopes: frozenset[str]
    user_id: int | None = None
    sources: frozenset[str] | None = None

    # What Django and DRF ask of a user.
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def may(self, scope: str) -> bool:
        """Tell whether the scope is held."""
        return scope in self.scopes

    @property
    def sees_personal_data(self) -> bool:
        """Tell whether values are shown as they are."""
        return PERSONAL_DATA in self.scopes


SYSTEM = Principal(actor="system", scopes=ALL_SCOPES)


def expand_scopes(names: Iterable[str]) -> frozenset[str]:
    """Return the single scopes that a list of scopes and roles stands for.

    Names that this version does not know give nothing: a key made by a later version loses rights, never gains.
    """
    found: set[str] = set()
    for name in names:
        if name in ROLE_SCOPES:
            found |= ROLE_SCOPES[name]
        elif name in ALL_SCOPES:
            found.add(name)
            if name.endswith(":write"):
                found.add(name.removesuffix("write") + "read")
    return frozenset(found)


def check_scopes(names: Iterable[str]) -> list[str]:
    """Return the names without repetition, in order.

    Raises
    ------
    UnknownScope
        If a name is neither a role nor a scope, or none is given.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names))
    allowed = ", ".join([*ROLE_SCOPES, *sorted(ALL_SCOPES)])
    for name in wanted:
        if name not in ROLE_SCOPES and name not in ALL_SCOPES:
            message = f"{name!r} is not a scope. Allowed are: {allowed}."
            raise UnknownScope(message)
    if not wanted:
        message = f"At least one scope is needed. Allowed are: {allowed}."
        raise UnknownScope(message)
    return wanted


def need(principal: Principal, scope: str) -> None:
    """Refuse unless the scope is held.

    Raises
    ------
    MissingScope
        Naming the scope.
    """
    if not principal.may(scope):
        message = f"This needs the scope {scope}."
        raise MissingScope(message)


MASK = "***"
# The one member of a value that is stored encrypted (profiles/queries/sealed.py): shown to nobody as it is.
SEALED = "$sealed"


def mask(value: Any, kind: str = "text") -> Any:
    """Return a value with its personal part hidden, the shape kept.

    Parameters
    ----------
    value : object
        Any JSON value. None and the empty string stay; members of lists and objects are masked one by one.
    kind : str
        ``email`` keeps the first letter and the top-level domain, ``phone`` the last two digits, anything else the
        first character of texts longer than three.
    """
    if value is None or value == "":
        return value
    if isinstance(value, dict):
        if SEALED in value:
            return MASK
        return {name: mask(inner, kind) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask(inner, kind) for inner in value]
    if not isinstance(value, str) or len(value) <= len(MASK):
        return MASK
    if kind == "email" and "@" in value:
        return f"{value[0]}{MASK}@{MASK}.{value.rpartition('.')[2]}" if "." in value else f"{value[0]}{MASK}"
    if kind == "phone":
        return MASK + value[-2:]
    return value[0] + MASK


def show(principal: Principal, value: Any, kind: str = "text") -> Any:
    """Return the value as this caller may see it: plain with ``personal_data:read``, masked without."""
    return value if principal.sees_personal_data else mask(value, kind)
