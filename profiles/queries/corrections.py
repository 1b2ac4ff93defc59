"""Corrections of traits by hand."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from cdp.core.access import Principal, show
from profiles.models import Correction
from profiles.queries.profiles import PERSONAL_KINDS
from profiles.queries.sealed import open_values


def list_corrections(*, profile_id: int) -> QuerySet[Correction]:
    """Return all corrections of a profile, those that were lifted included; the caller orders them."""
    return Correction.objects.filter(profile_id=profile_id)


def corrected_values(rows: Sequence[Correction], *, opens: bool) -> list[Any]:
    """Return what corrections say, decrypted where it is stored encrypted and `opens` is set."""
    values = [row.statement["value"] for row in rows]
    return open_values(values) if opens else values


def present_correction(row: Correction, *, principal: Principal) -> dict[str, Any]:
    """Return one correction as REST shows it."""
    value = corrected_values([row], opens=principal.sees_personal_data)[0]
    return {
        "id": str(row.pk),
        "trait": row.trait,
        "value": show(principal, value, PERSONAL_KINDS.get(row.trait, "text")),
        "reason": show(principal, row.statement["reason"]),
        "actor": row.actor,
        "created_at": row.created_at,
        "lifted_at": row.lifted_at,
        "lifted_by": row.lifted_by or None,
    }


def find_corrected(profile_ids: Sequence[int]) -> set[int]:
    """Return those profiles that a correction stands for: no event tells what was put right there."""
    rows = Correction.objects.filter(profile_id__in=list(profile_ids), lifted_at=None)
    return set(rows.values_list("profile_id", flat=True))
