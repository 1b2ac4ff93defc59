"""The rules that people made for single fields, as the pure package takes them; and what is required of a field."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from ingestion.models import QualityRule, Source, TreatmentKind, TreatmentVersion
from ingestion.quality.rules import FieldRule, Reference

Place = tuple[str, str, str]
"""Type, event (of a track), field."""


@dataclass(frozen=True, slots=True)
class Held:
    """A rule with the id of its row, by which its known values are found.

    `reference` is where values are learned from; the rule itself has it only once looking back is done.
    """

    row_id: int
    source_id: int
    rule: FieldRule
    reference: Reference | None


def list_rules(*, source: Source) -> QuerySet[QualityRule]:
    """Return the rules of a source; the caller orders them."""
    return QualityRule.objects.filter(source=source).select_related("source", "known_source")


def read_rules(*, source_ids: Iterable[int] | None = None) -> list[Held]:
    """Return the rules of sources (None: of all) in the order of their making."""
    rows = QualityRule.objects.order_by("pk")
    if source_ids is not None:
        rows = rows.filter(source_id__in=list(source_ids))
    return [held_of(row) for row in rows]


def held_of(row: QualityRule) -> Held:
    """Return what a row asks."""
    reference = None
    if row.known_source_id is not None:
        reference = Reference(row.known_source_id, row.known_type, row.known_event, row.known_field)
    rule = FieldRule(
        type=row.type,
        event=row.event,
        field=row.field,
        is_required=row.is_required,
        minimum=row.minimum,
        maximum=row.maximum,
        allowed=frozenset(row.allowed),
        reference=reference if row.is_learned else None,
    )
    return Held(row.pk, row.source_id, rule, reference)


def find_required(*, sources: Iterable[Source]) -> dict[int, set[Place]]:
    """Return for each source the fields that a rule or the plan in force asks for (two statements)."""
    found: dict[int, set[Place]] = defaultdict(set)
    plans = {source.pk: source.plan_version for source in sources}
    rules = QualityRule.objects.filter(source_id__in=plans, is_required=True)
    for source_id, *place in rules.values_list("source_id", "type", "event", "field"):
        found[source_id].add((place[0], place[1], place[2]))
    versions = TreatmentVersion.objects.filter(source_id__in=plans, kind=TreatmentKind.PLAN)
    for row in versions.filter(version__in=set(plans.values())):
        if plans[row.source_id] == row.version:
            found[row.source_id] |= set(_required_by(row.definition))
    return found


def _required_by(definition: dict[str, Any]) -> Iterable[Place]:
    for rule in definition.get("rules") or []:
        schema = rule.get("schema") or {}
        for name in schema.get("required") or []:
            yield rule["type"], rule.get("event") or "", name
