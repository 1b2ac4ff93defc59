"""Definitions, reasons and people as the pages write them."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from cdp.core.access import Principal, show
from cdp.core.queries.actors import name_actors
from profiles.queries.pages import display_name
from profiles.queries.profiles import present_by_id
from segments.language.evaluate import sentence
from segments.models import Membership, MembershipChange, SegmentVersion
from segments.queries.history import reason_in_words
from segments.queries.segments import has_match, parsed


def tell(definition: Any) -> str:
    """Return a definition as a sentence; a draft may have none."""
    return sentence(parsed(definition)) if has_match(definition) else "No condition yet."


def tell_versions(rows: Sequence[SegmentVersion]) -> list[tuple[SegmentVersion, str, str]]:
    """Return versions, each with its sentence and the name of whoever made it."""
    names = name_actors(actors=[row.created_by for row in rows])
    return [(row, tell(row.definition), names[row.created_by]) for row in rows]


def tell_observed(found: Any, principal: Principal) -> Any:
    """Return what a condition found as it may be seen; of a group, how many of its conditions hold."""
    if isinstance(found, dict) and found.keys() == {"true", "of"}:
        return f"{found['true']} of {found['of']}"
    return show(principal, found) if isinstance(found, str | list) else found


def tell_people(rows: Sequence[Membership], principal: Principal) -> list[dict[str, Any]]:
    """Return members as they may be seen; nobody to whoever may not see persons."""
    if not principal.may("profiles:read"):
        return []
    since = {row.profile_id: row.since for row in rows}
    shown = present_by_id(list(since), principal=principal, now=timezone.now())
    return [{**one, "display_name": display_name(one), "since": since[pk]} for pk, one in shown.items()]


def tell_changes(rows: Sequence[MembershipChange], principal: Principal) -> list[dict[str, Any]]:
    """Return entries and exits with their reasons; none to whoever may not see persons."""
    if not principal.may("profiles:read"):
        return []
    return [
        {
            "profile": row.profile_uuid,
            "entered": row.kind == MembershipChange.Kind.ENTERED,
            "at": row.at,
            "reason": reason_in_words(row.reason),
            "message_id": row.reason.get("message_id", ""),
        }
        for row in rows
    ]


def read_number(text: str) -> int:
    """Return the number of a version in an address; 0, which none has, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
