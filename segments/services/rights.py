"""Rights on single segments: somebody who lacks the scope may see or change this one."""

from datetime import datetime
from typing import Final

from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from cdp.core.access import ALL_SCOPES, MissingScope, Principal
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.models import User
from cdp.core.services.audit import record
from segments.models import Segment

VIEW, CHANGE = "view", "change"
RIGHTS: Final = {VIEW: ("view_segment",), CHANGE: ("view_segment", "change_segment")}


def may_share(principal: Principal, segment: Segment) -> bool:
    """Tell whether somebody may give and take rights on a segment: its owner, and administrators."""
    owns = segment.owner_id is not None and segment.owner_id == principal.user_id
    return principal.may("segments:write") and (owns or principal.scopes >= ALL_SCOPES)


def give_right(*, segment: Segment, email: str, right: str, by: Principal, now: datetime) -> User:
    """Let a person see, or see and change, one segment.

    Raises
    ------
    MissingScope
        If whoever gives it is neither owner nor administrator.
    InvalidInput
        If nobody who works here has the address.
    """
    _refuse_unless_shared_by(by, segment)
    user = _find_user(email)
    with transaction.atomic():
        for name in RIGHTS[CHANGE]:
            if name in RIGHTS[right]:
                assign_perm(name, user, segment)
            else:
                remove_perm(name, user, segment)
        detail = {"user": user.pk, "right": right}
        record(actor=by.actor, action="segment.right_given", object=f"segment:{segment.key}", detail=detail, now=now)
    return user


def take_right(*, segment: Segment, email: str, by: Principal, now: datetime) -> User:
    """Take the rights on one segment from a person.

    Raises
    ------
    MissingScope, InvalidInput
        As for `give_right`.
    """
    _refuse_unless_shared_by(by, segment)
    user = _find_user(email)
    with transaction.atomic():
        for name in RIGHTS[CHANGE]:
            remove_perm(name, user, segment)
        detail = {"user": user.pk}
        record(actor=by.actor, action="segment.right_taken", object=f"segment:{segment.key}", detail=detail, now=now)
    return user


def hand_over(*, segment: Segment, email: str, by: Principal, now: datetime) -> User:
    """Make another person the owner.

    Raises
    ------
    MissingScope, InvalidInput
        As for `give_right`.
    """
    _refuse_unless_shared_by(by, segment)
    user = _find_user(email)
    with transaction.atomic():
        Segment.objects.filter(pk=segment.pk).update(owner=user)
        detail = {"user": user.pk}
        record(actor=by.actor, action="segment.handed_over", object=f"segment:{segment.key}", detail=detail, now=now)
    return user


def _refuse_unless_shared_by(principal: Principal, segment: Segment) -> None:
    if not may_share(principal, segment):
        message = "Only the owner of a segment and administrators give rights on it."
        raise MissingScope(message)


def _find_user(email: str) -> User:
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None:
        message = "Nobody who works here has this e-mail address."
        raise InvalidInput(message, errors=[FieldError("email", "unknown", message)])
    return user
