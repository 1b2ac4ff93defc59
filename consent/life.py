"""The life of a privacy request as data: which act leads from which status to which, and who may do it.

Pure: `consent.services.requests` walks along these edges and along no others.

References
----------
GHSA-qx5f-ghc2-7g5c: a system whose status "duplicate" let an officer approve what nobody had verified. Here `approve`
leaves `open` only, and `open` is reached by `verify` only.
"""

from collections.abc import Mapping
from enum import StrEnum

RECEIVED = "received"
AWAITING_IDENTITY = "awaiting_identity"
OPEN = "open"
APPROVED = "approved"
RUNNING = "running"
COMPLETED = "completed"
PARTIAL = "partial"
REJECTED = "rejected"
CANCELLED = "cancelled"
STATUSES = (RECEIVED, AWAITING_IDENTITY, OPEN, APPROVED, RUNNING, COMPLETED, PARTIAL, REJECTED, CANCELLED)
OVER = frozenset({COMPLETED, REJECTED, CANCELLED})
# Nothing was decided yet.
WAITING = frozenset({RECEIVED, AWAITING_IDENTITY, OPEN})
MOVING = frozenset({APPROVED, RUNNING})


class Act(StrEnum):
    """What can be done with a request."""

    ASK_IDENTITY = "ask_identity"
    VERIFY = "verify"
    APPROVE = "approve"
    EXTEND = "extend"
    REJECT = "reject"
    CANCEL = "cancel"
    START = "start"
    FINISH = "finish"
    FALL_SHORT = "fall_short"


class Role(StrEnum):
    """Who does it: the officer (a person or key with `privacy:write`), the person themselves, the worker."""

    OFFICER = "officer"
    SUBJECT = "subject"
    SYSTEM = "system"


# (status, act) → the status after it. What is not here is refused. An approval while it is carried out is a repeat.
EDGES: Mapping[tuple[str, Act], str] = {
    (RECEIVED, Act.ASK_IDENTITY): AWAITING_IDENTITY,
    (RECEIVED, Act.VERIFY): OPEN,
    (RECEIVED, Act.EXTEND): RECEIVED,
    (RECEIVED, Act.REJECT): REJECTED,
    (RECEIVED, Act.CANCEL): CANCELLED,
    (AWAITING_IDENTITY, Act.ASK_IDENTITY): AWAITING_IDENTITY,
    (AWAITING_IDENTITY, Act.VERIFY): OPEN,
    (AWAITING_IDENTITY, Act.EXTEND): AWAITING_IDENTITY,
    (AWAITING_IDENTITY, Act.REJECT): REJECTED,
    (AWAITING_IDENTITY, Act.CANCEL): CANCELLED,
    (OPEN, Act.ASK_IDENTITY): AWAITING_IDENTITY,
    (OPEN, Act.APPROVE): APPROVED,
    (OPEN, Act.EXTEND): OPEN,
    (OPEN, Act.REJECT): REJECTED,
    (OPEN, Act.CANCEL): CANCELLED,
    (APPROVED, Act.APPROVE): APPROVED,
    (APPROVED, Act.START): RUNNING,
    (RUNNING, Act.APPROVE): RUNNING,
    (RUNNING, Act.START): RUNNING,
    (RUNNING, Act.FINISH): COMPLETED,
    (RUNNING, Act.FALL_SHORT): PARTIAL,
    (PARTIAL, Act.APPROVE): APPROVED,
    # The last recipient was told after all.
    (PARTIAL, Act.FINISH): COMPLETED,
}

ROLES: Mapping[Act, frozenset[Role]] = {
    # The public form asks by itself.
    Act.ASK_IDENTITY: frozenset({Role.OFFICER, Role.SYSTEM}),
    Act.VERIFY: frozenset({Role.OFFICER, Role.SUBJECT}),
    Act.APPROVE: frozenset({Role.OFFICER}),
    Act.EXTEND: frozenset({Role.OFFICER}),
    Act.REJECT: frozenset({Role.OFFICER}),
    # The system cancels what nobody verified in time.
    Act.CANCEL: frozenset({Role.OFFICER, Role.SUBJECT, Role.SYSTEM}),
    Act.START: frozenset({Role.SYSTEM}),
    Act.FINISH: frozenset({Role.SYSTEM}),
    Act.FALL_SHORT: frozenset({Role.SYSTEM}),
}


def follow(*, status: str, act: Act, role: Role) -> str | None:
    """Return the status after an act, or None if the act is not open to this role in this status."""
    return EDGES.get((status, act)) if role in ROLES[act] else None


def allowed_in(act: Act) -> tuple[str, ...]:
    """Return the statuses in which an act is possible, in the order of a request's life."""
    return tuple(status for status in STATUSES if (status, act) in EDGES)


def acts_of(*, status: str, role: Role) -> frozenset[Act]:
    """Return what a role can do in a status."""
    return frozenset(act for act in Act if follow(status=status, act=act, role=role) is not None)
