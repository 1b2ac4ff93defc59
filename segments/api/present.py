"""How REST shows what this app holds."""

from collections.abc import Iterable, Sequence
from typing import Any

from cdp.core.access import Principal, mask
from profiles.models import Profile
from profiles.queries.profiles import present_profiles
from segments.language.evaluate import Explanation, sentence
from segments.models import ListMember, Membership, MembershipChange, Segment, SegmentVersion
from segments.queries.cost import Cost
from segments.queries.groups import shown_size
from segments.queries.preview import Preview
from segments.queries.segments import has_match, parsed, read_definitions


def told_size(principal: Principal | None, size: int) -> int | None:
    """Return a size as it may be told; a key that reads segments is told every one, a person as on the pages."""
    return size if principal is None or principal.user_id is None else shown_size(principal, size)


def present_segments(segments: Sequence[Segment], *, principal: Principal | None = None) -> list[dict[str, Any]]:
    """Return segments with their latest definitions, in one statement for any number of them.

    Parameters
    ----------
    principal : Principal or None
        Who sees them, where it may be somebody with a right on single ones only.
    """
    definitions = read_definitions(segments)
    return [
        {
            "key": segment.key,
            "name": segment.name,
            "definition": definitions[segment.pk],
            "version": segment.version,
            "status": segment.status,
            "count": told_size(principal, max(segment.member_count, 0)),
            "computed_at": segment.computed_at,
            "purpose": segment.purpose or None,
            "channel": segment.channel or None,
            "tags": segment.tags,
        }
        for segment in segments
    ]


def present_preview(found: Preview, *, cost: Cost, principal: Principal) -> dict[str, Any]:
    """Return a preview; the sample is masked for whoever may not see personal data, and left out for whoever may not
    see persons, as the count of a small group is."""
    sample = found.sample_ids if principal.may("profiles:read") else []
    return {
        "count": shown_size(principal, found.count),
        "sample": present_profiles(sorted(sample), principal=principal, now=found.now),
        "cost": {"estimate": cost.estimate, "level": cost.level},
        "sentence": found.sentence,
        "sql": found.sql,
        "took_ms": found.took_ms,
        "now": found.now,
    }


def public_ids(profile_ids: Iterable[int]) -> dict[int, str]:
    """Return the public ids of profiles."""
    rows = Profile.objects.filter(pk__in=set(profile_ids)).values_list("pk", "uuid")
    return {pk: str(public_id) for pk, public_id in rows}


def present_members(rows: Sequence[Membership]) -> list[dict[str, Any]]:
    """Return members, in one statement for any number of them."""
    uuids = public_ids(row.profile_id for row in rows)
    return [{"profile_id": uuids.get(row.profile_id), "since": row.since} for row in rows]


def present_list_members(rows: Sequence[ListMember]) -> list[dict[str, Any]]:
    """Return people on a list, in one statement for any number of them."""
    uuids = public_ids(row.profile_id for row in rows)
    return [{"profile_id": uuids.get(row.profile_id), "added_at": row.added_at} for row in rows]


def present_membership_change(row: MembershipChange) -> dict[str, Any]:
    """Return an entry or exit."""
    return {
        "profile_id": str(row.profile_uuid),
        "kind": MembershipChange.Kind(row.kind).label,
        "at": row.at,
        "reason": row.reason,
    }


def present_version(row: SegmentVersion) -> dict[str, Any]:
    """Return a version of a definition."""
    return {
        "version": row.version,
        "definition": row.definition,
        "sentence": sentence(parsed(row.definition)) if has_match(row.definition) else "",
        "created_at": row.created_at,
        "created_by": row.created_by,
    }


def present_explanation(line: Explanation) -> dict[str, Any]:
    """Return one condition's part in the answer."""
    return {"path": line.path, "sentence": line.sentence, "result": line.result, "observed": line.observed}


def present_tree(tree: Sequence[Explanation], *, principal: Principal) -> list[dict[str, Any]]:
    """Return the parts of all conditions; texts that were found are masked for whoever may not see personal data."""
    lines = [present_explanation(line) for line in tree]
    if principal.sees_personal_data:
        return lines
    # Numbers and times of events say nothing that membership does not.
    return [
        {**line, "observed": mask(line["observed"])} if isinstance(line["observed"], str | list) else line
        for line in lines
    ]
