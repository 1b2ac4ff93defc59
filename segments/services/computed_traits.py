"""Defining computed traits; one in use has its values before the call returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.errors import FieldError
from cdp.core.services.audit import record
from segments.errors import InvalidDefinition, KeyTaken, SegmentInUse
from segments.language.check import check_nodes
from segments.language.computations import TraitDefinition
from segments.language.computed import COMPUTED_TRAITS
from segments.language.parse_traits import parse_trait
from segments.language.person import PROFILE_ZONE, ZONE_TRAIT
from segments.models import ComputedTrait, TraitValue
from segments.queries.computed_traits import find_trait, get_trait
from segments.queries.following import find_users_of
from segments.queries.segments import read_catalogue
from segments.services.definitions import refuse_circle
from segments.services.evaluation import Clock
from segments.services.following import compute_whole
from segments.services.interests import declare_interests

LIVE, DRAFT = ComputedTrait.Status.LIVE, ComputedTrait.Status.DRAFT
FIELDS = ("name", "status", "definition")


@dataclass(frozen=True, slots=True)
class NewTrait:
    """What a computed trait is made of; `key` is the name of the trait in conditions."""

    key: str
    name: str
    definition: Any
    status: str = DRAFT


def create_trait(*, new: NewTrait, actor: str, clock: Clock) -> tuple[ComputedTrait, bool]:
    """Create a computed trait; one in use has its values before this returns. The same again changes nothing.

    Returns
    -------
    (ComputedTrait, bool)
        Whether it is new.

    Raises
    ------
    InvalidDefinition
        If the definition breaks a rule, refers to what does not exist, or the key is one of the product's own traits.
    CircularReference
        If it would depend on itself.
    KeyTaken
        If the key belongs to a computed trait with other properties.
    """
    now = clock()
    if new.key in (*COMPUTED_TRAITS, ZONE_TRAIT):
        message = f"{new.key} is a trait of the product itself. Choose another name."
        raise InvalidDefinition([FieldError("key", "not_allowed", message)])
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        known = find_trait(key=new.key)
        if known is not None:
            if (new.name, new.definition, new.status) != (known.name, known.definition, known.status):
                raise KeyTaken(new.key)
            return known, False
        tokens = _checked(new.key, new.definition)
        trait = ComputedTrait.objects.create(
            key=new.key,
            name=new.name,
            definition=new.definition,
            tokens=tokens,
            status=new.status,
            created_at=now,
            created_by=actor,
        )
        declare_interests()
        detail = {"status": new.status}
        record(actor=actor, action="computed_trait.created", object=f"trait:{new.key}", detail=detail, now=now)
    return _computed(trait, clock), True


def change_trait(*, key: str, fields: Mapping[str, Any], actor: str, clock: Clock) -> ComputedTrait:
    """Change name, definition or status; a changed definition is computed anew before this returns.

    Raises
    ------
    NoSuchTrait
        If there is none.
    InvalidDefinition, CircularReference
        As for `create_trait`.
    SegmentInUse
        If it would be put out of use while others depend on it.
    """
    now = clock()
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        trait = get_trait(key=key)
        changed = [name for name in FIELDS if name in fields and fields[name] != getattr(trait, name)]
        if not changed:
            return trait
        was_live = trait.status == LIVE
        for name in changed:
            setattr(trait, name, fields[name])
        trait.tokens = _checked(key, trait.definition)
        trait.version += "definition" in changed
        if was_live and trait.status != LIVE:
            _refuse_if_used(key)
            TraitValue.objects.filter(trait=trait).delete()
            trait.live_version = trait.next_run_at = None
        trait.save(update_fields=[*FIELDS, "tokens", "version", "live_version", "next_run_at"])
        declare_interests()
        detail = {"changed": sorted(changed), "status": trait.status}
        record(actor=actor, action="computed_trait.changed", object=f"trait:{key}", detail=detail, now=now)
    return _computed(trait, clock)


def delete_trait(*, key: str, actor: str, now: datetime) -> None:
    """Delete a computed trait with its values.

    Raises
    ------
    NoSuchTrait
        If there is none.
    SegmentInUse
        If others depend on it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        trait = get_trait(key=key)
        _refuse_if_used(key)
        TraitValue.objects.filter(trait=trait).delete()
        trait.delete()
        declare_interests()
        record(actor=actor, action="computed_trait.deleted", object=f"trait:{key}", now=now)


def _checked(key: str, definition: Any) -> list[str]:
    """Check a definition and return what it depends on."""
    found = parse_trait(definition)
    check_nodes(found.compute.conditions, read_catalogue(), key=None)
    tokens = trait_tokens(found)
    refuse_circle(f"trait:{key}", tokens, path="compute")
    return sorted(tokens)


def trait_tokens(definition: TraitDefinition) -> set[str]:
    """Return what a change has to touch to matter to a computed trait."""
    from_zone = {f"trait:{ZONE_TRAIT}"} if definition.timezone == PROFILE_ZONE else set()
    return definition.compute.tokens() | from_zone


def _refuse_if_used(key: str) -> None:
    users = find_users_of(f"trait:{key}")
    if users:
        raise SegmentInUse(key, users)


def _computed(trait: ComputedTrait, clock: Clock) -> ComputedTrait:
    if trait.status == LIVE and trait.live_version != trait.version:
        compute_whole(token=f"trait:{trait.key}", reason="definition", clock=clock)
        trait.refresh_from_db()
    return trait
