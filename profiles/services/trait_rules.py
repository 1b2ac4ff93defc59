"""Deciding which value of a trait wins: saving rules, trying them, and bringing stored profiles in line with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import text_array
from cdp.core.errors import FieldError
from cdp.core.models import Job
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from profiles.errors import BadTraitRules, TraitIsSealed
from profiles.models import ChangeKind, TraitRules
from profiles.queries.sealed import read_sealed_names
from profiles.queries.trait_rules import APPLY, EMPTY, compile_definition, find_in_force, read_rules, read_source_ids
from profiles.services.merging import write_changes
from profiles.services.settling import find_states, settle_traits
from profiles.services.splitting import note_work
from profiles.survivorship.folding import Meta, State, Traits
from profiles.survivorship.rules import COMPARING, MOST_RECENT, read_definition

MOST_CHARACTERS = 1_000
# How many profiles a step looks at, and after how many of their events it ends: it holds the lock all the while.
STEP_PROFILES = 1_000
STEP_EVENTS = 10_000
# A preview looks among so many of the newest profiles for so many that have one of the traits.
PREVIEW_AMONG = 50_000
PREVIEW_PROFILES = 500
PREVIEW_EVENTS = 50_000

NEXT = """
SELECT p.id, ARRAY(
    SELECT k FROM jsonb_object_keys(p.trait_meta) AS k WHERE %(names)s::text[] IS NULL OR k = ANY(%(names)s::text[])
), coalesce(a.event_count, 0)
FROM (SELECT id, trait_meta FROM profiles_profile WHERE id > %(after)s ORDER BY id LIMIT %(limit)s) AS p
LEFT JOIN profiles_activity a ON a.profile_id = p.id
ORDER BY p.id
"""
SAMPLE = """
SELECT p.id, p.uuid::text, p.traits::text, p.trait_meta::text, coalesce(a.event_count, 0)
FROM (SELECT id, uuid, traits, trait_meta FROM profiles_profile ORDER BY id DESC LIMIT %(among)s) AS p
LEFT JOIN profiles_activity a ON a.profile_id = p.id
WHERE %(names)s::text[] IS NULL OR p.trait_meta ?| %(names)s::text[]
ORDER BY p.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A trait of a profile that would have another value under other rules."""

    profile_uuid: str
    trait: str
    before: State
    after: State
    rule: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What rules would change: how many profiles were looked at, and each trait that would be another."""

    examined: int
    profiles: int
    differences: list[Difference]
    traits: list[str]


@dataclass(frozen=True, slots=True)
class Examined:
    """Rules that somebody is about to save: their faults, or else what they would change and their digest."""

    definition: dict[str, Any]
    faults: list[FieldError]
    preview: Preview | None
    digest: str


def read_given_rules(given: Any) -> dict[str, Any]:
    """Return rules in their one form.

    Raises
    ------
    BadTraitRules
        Naming each fault with its path.
    """
    definition, faults = read_definition(given, known_sources=frozenset(read_source_ids()))
    if faults:
        message = f"Nothing was changed. The first fault is {faults[0].path or 'the body'}: {faults[0].message}"
        raise BadTraitRules(message, errors=faults)
    return definition


def save_rules(*, given: Any, note: str, actor: str, now: datetime) -> TraitRules | None:
    """Put rules in force as a new version; a job then brings the profiles that have such traits in line.

    Returns
    -------
    TraitRules or None
        The version in force; the same rules again make none. None where there are no rules and none were given.

    Raises
    ------
    BadTraitRules
        If the rules or the note cannot be used.
    TraitIsSealed
        If a rule compares values of a trait that is stored encrypted.
    """
    definition = read_given_rules(given)
    if len(note) > MOST_CHARACTERS or "\0" in note:
        message = f"The note has at most {MOST_CHARACTERS} characters."
        raise BadTraitRules(message)
    with transaction.atomic(), connection.cursor() as cursor:
        # Batches read the rules under this lock: those that come after know the new ones.
        locks.take(cursor, locks.IDENTITY)
        sealed = read_sealed_names(cursor)
        for name, rule in definition["traits"].items():
            if name in sealed and rule["rule"] in COMPARING:
                raise TraitIsSealed(name)
        known = find_in_force()
        before = known.definition if known is not None else EMPTY
        if before == definition:
            return known
        version = known.version + 1 if known is not None else 1
        made = TraitRules.objects.create(
            version=version, definition=definition, note=note.strip(), created_at=now, created_by=actor
        )
        names = changed_traits(before, definition)
        enqueue(kind=APPLY, arguments={"traits": names, "version": version}, now=now)
        detail = {"version": version, "traits": names if names is not None else "all"}
        audit.record(actor=actor, action="trait_rules.saved", object="trait_rules", detail=detail, now=now)
    return made


def changed_traits(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str] | None:
    """Return the traits that two sets of rules treat differently; None if that may be any."""
    if before["sources"] != after["sources"]:
        return None
    one, other = before["traits"], after["traits"]
    default = {"rule": MOST_RECENT}
    return [name for name in sorted({*one, *other}) if one.get(name, default) != other.get(name, default)]


def apply_rules(job: Job) -> bool:
    """Bring the next profiles in line with the rules in force; True once all are."""
    names: list[str] | None = job.arguments["traits"]
    if names is not None and not names:
        return True
    progress = job.progress
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        rules = read_rules(cursor)
        wanted_names = None if names is None else text_array(names)
        after = progress.get("after", 0)
        cursor.execute(NEXT, {"names": wanted_names, "after": after, "limit": STEP_PROFILES})
        rows = cursor.fetchall()
        wanted: dict[int, list[str]] = {}
        events = looked_at = 0
        for profile_id, having, event_count in rows:
            if events >= STEP_EVENTS:
                break
            after, looked_at = profile_id, looked_at + 1
            if having:
                wanted[profile_id] = having
                events += event_count
        settled = settle_traits(cursor, wanted=wanted, rules=rules)
        now = timezone.now()
        detail = {"rules": rules.version}
        changes = [(one, ChangeKind.TRAITS, {**detail, "names": sorted(x)}) for one, x in settled.changed.items()]
        write_changes(cursor, changes, now)
        for name in sorted({name for found in settled.changed.values() for name in found}):
            note_work(cursor, [one for one, found in settled.changed.items() if name in found], f"trait:{name}", now)
    progress["after"] = after
    progress["examined"] = progress.get("examined", 0) + len(wanted)
    progress["changed"] = progress.get("changed", 0) + len(settled.changed)
    return looked_at == len(rows) < STEP_PROFILES


def examine_rules(given: Any) -> Examined:
    """Return what is wrong with rules, or else what they would change; for a page that shows both."""
    definition, faults = read_definition(given, known_sources=frozenset(read_source_ids()))
    if faults:
        return Examined(definition, faults, None, "")
    digest = sha256(orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Examined(definition, faults, preview_rules(given=definition), digest)


def preview_rules(*, given: Any) -> Preview:
    """Return what rules would change on real profiles: of the newest, those that have a trait whose rule differs.

    Raises
    ------
    BadTraitRules
        If the rules cannot be used.
    """
    definition = read_given_rules(given)
    known = find_in_force()
    names = changed_traits(known.definition if known is not None else EMPTY, definition)
    if names is not None and not names:
        return Preview(0, 0, [], [])
    rules = compile_definition(definition, version=0)
    parameters = {"among": PREVIEW_AMONG, "limit": PREVIEW_PROFILES}
    with connection.cursor() as cursor:
        cursor.execute(SAMPLE, {**parameters, "names": None if names is None else text_array(names)})
        held, uuids = _within_reach(cursor.fetchall())
        wanted = {
            profile_id: [name for name in meta if names is None or name in names]
            for profile_id, (_, meta) in held.items()
        }
        states = find_states(cursor, wanted=wanted, rules=rules, held={one: [side] for one, side in held.items()})
    differences = [
        Difference(
            uuids[profile_id],
            name,
            (held[profile_id][0].get(name), held[profile_id][1].get(name)),
            state,
            rules.by_trait[name].kind if name in rules.by_trait else MOST_RECENT,
        )
        for profile_id, found in states.items()
        for name, state in found.items()
        if _differs(held[profile_id][0].get(name), state[0])
    ]
    return Preview(len(held), len({one.profile_uuid for one in differences}), differences, names or [])


def _within_reach(rows: Sequence[Sequence[Any]]) -> tuple[dict[int, tuple[Traits, Meta]], dict[int, str]]:
    held: dict[int, tuple[Traits, Meta]] = {}
    uuids: dict[int, str] = {}
    events = 0
    for profile_id, public_id, traits, meta, event_count in rows:
        if events > PREVIEW_EVENTS:
            break
        events += event_count
        held[profile_id] = orjson.loads(traits), orjson.loads(meta)
        uuids[profile_id] = public_id
    return held, uuids


def _differs(before: Any, after: Any) -> bool:
    return bool(before != after or type(before) is not type(after))
