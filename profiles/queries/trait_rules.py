"""The rules of survivorship: those in force, those of a moment, their versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from cdp.core.models import Job
from cdp.core.registries import source_keys
from profiles.models import TraitRules
from profiles.survivorship.rules import NO_RULES, Rules, compile_rules

IN_FORCE = "SELECT version, definition::text FROM profiles_traitrules ORDER BY version DESC LIMIT 1"
EMPTY: dict[str, Any] = {"sources": [], "traits": {}}
NAMES = """
SELECT name, count(*) FROM (SELECT trait_meta FROM profiles_profile ORDER BY id DESC LIMIT %s) AS part,
    jsonb_object_keys(part.trait_meta) AS name
GROUP BY name ORDER BY count(*) DESC, name LIMIT %s
"""
# The kind of the job that brings stored profiles in line.
APPLY = "profiles.apply-trait-rules"
LOOKED_AT = 2_000
MOST_NAMES = 100


def read_rules(cursor: Any) -> Rules:
    """Return the rules in force; one statement while there are none."""
    cursor.execute(IN_FORCE)
    row = cursor.fetchone()
    if row is None:
        return NO_RULES
    return compile_definition(orjson.loads(row[1]), version=row[0])


def compile_definition(definition: Mapping[str, Any], *, version: int) -> Rules:
    """Return a definition as rules, with the sources as they are now."""
    return compile_rules(definition, version=version, source_ids=read_source_ids())


def read_source_ids() -> dict[str, int]:
    """Return the ids of all sources by key."""
    return {key: source_id for read in source_keys for source_id, key in read().items()}


def find_in_force() -> TraitRules | None:
    """Return the version in force; None while every trait follows the most recent statement."""
    return list_versions().order_by("-version").first()


def find_rules_of(*, moment: datetime) -> Rules:
    """Return the rules that were in force at a moment."""
    row = list_versions().filter(created_at__lte=moment).order_by("-version").first()
    return NO_RULES if row is None else compile_definition(row.definition, version=row.version)


def list_versions() -> QuerySet[TraitRules]:
    """Return all versions; the caller orders them."""
    return TraitRules.objects.all()


def present_rules(row: TraitRules | None) -> dict[str, Any]:
    """Return a version as REST shows it; without any, version 0."""
    if row is None:
        return {"version": 0, **EMPTY, "note": "", "created_at": None, "created_by": None}
    return {
        "version": row.version,
        "sources": row.definition["sources"],
        "traits": row.definition["traits"],
        "note": row.note,
        "created_at": row.created_at,
        "created_by": row.created_by,
    }


def find_applying() -> dict[str, Any] | None:
    """Return how far the last change of rules was applied to stored profiles; None if there was none yet."""
    job = Job.objects.filter(kind=APPLY).order_by("-id").first()
    if job is None:
        return None
    progress = job.progress
    return {"status": job.status, "examined": progress.get("examined", 0), "changed": progress.get("changed", 0)}


def find_trait_names() -> list[tuple[str, int]]:
    """Return the traits of the newest profiles with how many of these have each, the most common first."""
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [LOOKED_AT, MOST_NAMES])
        return list(cursor.fetchall())
