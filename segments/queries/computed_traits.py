"""Finding computed traits and their values, and trying definitions of them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from segments.errors import NoSuchTrait
from segments.language.check import check_nodes
from segments.language.compile_traits import compile_trait
from segments.language.computations import TraitDefinition
from segments.language.parse_traits import parse_trait
from segments.language.scoring import as_json
from segments.models import ComputedTrait, TraitValue
from segments.queries.preview import SAMPLE, ask, statement_text
from segments.queries.segments import computed_defaults, read_catalogue, read_setting

MOST_VALUES = 20
SUMMARY = """
with computed as (
{computed}
)
select (select count(*) from computed where value is not null),
    (select (array_agg(profile_id order by profile_id))[1:{sample}] from computed where value is not null),
    (select jsonb_build_object('known', count(n), 'least', min(n), 'most', max(n), 'mean', avg(n)::float8,
        'total', sum(n))::text from (select cdp_number(value) as n from computed) numbers where n is not null),
    (select jsonb_agg(jsonb_build_array(value, people) order by people desc, value)::text from (
        select {shown} as value, count(*) as people from computed where value is not null
        group by 1 having count(*) >= %(smallest)s order by count(*) desc, 1 limit {most}) frequent)
"""
# Of objects what they call themselves, else the value itself.
SHOWN = "coalesce(value -> 'class', value -> 'segment', value)"
STORED = "select profile_id, value from segments_traitvalue where trait_id = %(trait)s"


@dataclass(frozen=True, slots=True)
class ValuesSummary:
    """What a computed trait comes to.

    Attributes
    ----------
    count : int
        How many people have a value of their own, other than the default.
    sample_ids : list of int
        Internal ids of some of them.
    numbers : mapping or None
        `known`, `least`, `most`, `mean`, `total` of these numbers; None without any.
    frequent : list of (JSON, int)
        The most frequent values, of objects their class or group, with how many people have them.
    """

    count: int
    sample_ids: list[int]
    numbers: Mapping[str, Any] | None
    frequent: list[tuple[Any, int]]


@dataclass(frozen=True, slots=True)
class TraitPreview:
    """What a definition of a computed trait would give, with the statement as it was run."""

    summary: ValuesSummary
    values: Mapping[int, Any]
    sentence: str
    sql: str
    took_ms: int
    now: datetime


def list_traits() -> QuerySet[ComputedTrait]:
    """Return all computed traits; the caller orders them."""
    return ComputedTrait.objects.all()


def find_trait(*, key: str) -> ComputedTrait | None:
    """Return a computed trait, or None."""
    return ComputedTrait.objects.filter(key=key).first()


def get_trait(*, key: str) -> ComputedTrait:
    """Return a computed trait.

    Raises
    ------
    NoSuchTrait
        If there is none of this name.
    """
    found = find_trait(key=key)
    if found is None:
        raise NoSuchTrait(key)
    return found


def list_values(*, trait: ComputedTrait) -> QuerySet[TraitValue]:
    """Return the values that differ from the default; the caller orders them."""
    return TraitValue.objects.filter(trait=trait, value__isnull=False)


def read_computed_values(*, profile_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the computed traits in use of some people, defaults included, by internal id and name (two statements)."""
    defaults = {key: value for key, value in computed_defaults().items() if value is not None}
    found = {profile_id: dict(defaults) for profile_id in profile_ids}
    rows = TraitValue.objects.filter(profile_id__in=list(profile_ids), value__isnull=False)
    for profile_id, key, value in rows.values_list("profile_id", "trait__key", "value"):
        found[profile_id][key] = value
    return found


def summarise_values(*, trait: ComputedTrait, smallest: int) -> ValuesSummary:
    """Return what the stored values of a computed trait come to.

    Parameters
    ----------
    smallest : int
        Values that fewer people have are not named.
    """
    return _summarise(STORED, {"trait": trait.pk}, smallest)


def preview_trait(*, definition: Any, now: datetime, smallest: int) -> TraitPreview:
    """Compute a definition over all profiles without saving anything.

    Raises
    ------
    InvalidDefinition
        If it breaks a rule, or refers to what does not exist.
    PreviewTooSlow
        If it takes too long.
    """
    found = parse_trait(definition)
    check_nodes(found.compute.conditions, read_catalogue(), key=None)
    compiled = compile_trait(found, now=now, setting=read_setting())
    began = time.perf_counter()
    summary = _summarise(compiled.sql, compiled.parameters, smallest)
    took_ms = round((time.perf_counter() - began) * 1000)
    values = _values_of(found, summary.sample_ids, now)
    sql = statement_text(compiled.sql, compiled.parameters)
    return TraitPreview(summary, values, trait_sentence(found), sql, took_ms, now)


def trait_sentence(definition: TraitDefinition) -> str:
    """Return a definition as one English sentence."""
    told = definition.compute.sentence()
    return f"{told[:1].upper()}{told[1:]}."


def default_of(trait: ComputedTrait) -> Any:
    """Return what everybody has who has no value of their own."""
    return as_json(parse_trait(trait.definition).compute.default)


def _summarise(computed: str, parameters: Mapping[str, Any], smallest: int) -> ValuesSummary:
    sql = SUMMARY.format(computed=computed, sample=SAMPLE, most=MOST_VALUES, shown=SHOWN)
    count, sample, numbers, frequent = ask(sql, {**parameters, "smallest": smallest})[0]
    found = json.loads(numbers) if numbers else None
    told = found if found and found["known"] >= smallest else None
    return ValuesSummary(count, sample or [], told, [(value, people) for value, people in json.loads(frequent or "[]")])


def _values_of(definition: TraitDefinition, profile_ids: Sequence[int], now: datetime) -> dict[int, Any]:
    compiled = compile_trait(definition, now=now, setting=read_setting(), some=True)
    parameters = {**compiled.parameters, "profile_ids": list(profile_ids)}
    rows = ask(f"select profile_id, value::text from (\n{compiled.sql}\n) as computed", parameters)
    return {profile_id: json.loads(value) for profile_id, value in rows if value is not None}
