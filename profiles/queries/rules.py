"""Reading the identity rules: those in force, their versions, what runs found, what is quarantined."""

from collections.abc import Iterable
from typing import Any, TypedDict

from django.db.models import QuerySet

from cdp.core.access import Principal, show
from profiles.identity.graph import TypeRule
from profiles.identity.rules import FIXED_NORMALISERS, RuleSet, TypeDefinition
from profiles.models import (
    IdentifierType,
    IdentitySettings,
    MegaProfile,
    Profile,
    QuarantinedValue,
    RulesExample,
    RulesRun,
    RulesVersion,
)

SHOWN_AS_SUCH = {"email", "phone"}


def read_types() -> list[IdentifierType]:
    """Return the identifier types, strongest first."""
    return list(IdentifierType.objects.order_by("priority", "id"))


def rule_set(rows: Iterable[IdentifierType]) -> RuleSet:
    """Return the rules of types, in their order."""
    return {row.key: define(row) for row in rows}


def define(row: IdentifierType) -> TypeDefinition:
    """Return the rules of one type."""
    return TypeDefinition(
        key=row.key,
        name=row.name,
        priority=row.priority,
        normaliser=FIXED_NORMALISERS.get(row.key, row.normaliser),
        limit=row.value_limit,
        window=row.limit_window or None,
        sharing_limit=row.sharing_limit,
        blocked_values=tuple(row.blocked_values),
        blocked_patterns=tuple(row.blocked_patterns),
        source_kinds=None if row.source_kinds is None else tuple(row.source_kinds),
        link_purpose=row.link_purpose or None,
    )


def resolver_rules(rows: Iterable[IdentifierType], rules: RuleSet) -> dict[int, TypeRule]:
    """Return what the resolver needs of the types, by id."""
    return {row.pk: rules[row.key].resolving(row.pk) for row in rows if row.key in rules}


def version_in_force() -> int:
    """Return the number of the version in force."""
    row = IdentitySettings.objects.first()
    return row.version if row is not None else 1


def list_versions() -> QuerySet[RulesVersion]:
    """Return the versions of the rules."""
    return RulesVersion.objects.all()


def list_quarantined() -> QuerySet[QuarantinedValue]:
    """Return the values in quarantine."""
    rows = QuarantinedValue.objects.filter(lifted_at__isnull=True)
    return rows.select_related("identifier__profile", "type")


def present_quarantined(row: QuarantinedValue, *, principal: Principal) -> dict[str, Any]:
    """Return a quarantined value in the shape of REST."""
    kind = row.type.key if row.type.key in SHOWN_AS_SUCH else "text"
    return {
        "id": str(row.pk),
        "identifier": {"type": row.type.key, "value": show(principal, row.identifier.value, kind)},
        "profile_id": str(row.identifier.profile.uuid),
        "reason": row.reason,
        "asserted_by": row.asserted_by,
        "sharing_limit": row.sharing_limit,
        "quarantined_at": row.quarantined_at,
        "separated_at": row.separated_at,
    }


def list_runs(*, kind: str = "") -> QuerySet[RulesRun]:
    """Return dry runs and runs that apply rules, of one kind if asked."""
    rows = RulesRun.objects.all()
    return rows.filter(kind=kind) if kind else rows


def present_run(run: RulesRun) -> dict[str, Any]:
    """Return a run in the shape of REST."""
    names = ("kind", "status", "version", "total", "counts", "created_at", "finished_at")
    return {
        "id": str(run.pk),
        **{name: getattr(run, name) for name in names},
        "done": min(run.done, run.total),
        "seconds": run.busy_ms / 1000,
        "longest_lock_ms": run.longest_ms,
    }


def list_examples(*, run: RulesRun, kind: str = "") -> QuerySet[RulesExample]:
    """Return the examples of a run, of one kind if asked."""
    rows = run.examples.all()
    return rows.filter(kind=kind) if kind else rows


def present_example(row: RulesExample) -> dict[str, Any]:
    """Return an example in the shape of REST."""
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "profile_ids": [str(one) for one in row.profile_uuids],
        "detail": row.detail,
    }


def present_version(row: RulesVersion) -> dict[str, Any]:
    """Return a version in the shape of REST."""
    return {
        "version": row.version,
        "note": row.note,
        "created_at": row.created_at,
        "created_by": row.created_by,
        **row.definition,
    }


class MegaLimits(TypedDict):
    """From how many on a profile is a mega-profile."""

    identifiers: int
    events: int


def read_mega_limits() -> MegaLimits:
    """Return from how many identifiers or events on a profile is listed."""
    row = IdentitySettings.objects.first() or IdentitySettings()
    return {"identifiers": row.mega_identifiers, "events": row.mega_events}


def list_mega_profiles() -> QuerySet[MegaProfile]:
    """Return the mega-profiles as they were found last."""
    return MegaProfile.objects.all()


def name_mega_profiles(rows: Iterable[MegaProfile]) -> list[dict[str, Any]]:
    """Return mega-profiles with their public ids; one that is gone since is left out."""
    rows = list(rows)
    uuids = dict(Profile.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "uuid"))
    return [
        {
            "profile_id": str(uuids[row.pk]),
            "identifiers": row.identifiers,
            "events": row.events,
            "found_at": row.found_at,
        }
        for row in rows
        if row.pk in uuids
    ]
