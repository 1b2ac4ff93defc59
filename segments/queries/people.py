"""Reading one person as the reference evaluation sees them, to explain a membership."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.registries import source_keys
from consent.models import Current
from profiles.models import Event as EventRow
from profiles.models import Identifier, Profile
from profiles.queries.orders import list_orders
from profiles.queries.sessions import session_gap
from segments.language.computed import ORDER
from segments.language.evaluate import Explanation, depends, explain
from segments.language.person import Consent, Entry, Event, HeldIdentifier, Moment, Person, Scores
from segments.language.rfm import RANKED, scores_sql
from segments.language.scans import ANY_EVENT
from segments.language.sessions import ACTIVE_TYPES, SESSION, derive_sessions
from segments.models import ListMember, Membership, MembershipChange, TraitValue
from segments.queries.preview import Trial
from segments.queries.segments import LiveSegment, computed_defaults, installation_zone

MERGED = "merge"
EVENTS = """
SELECT id, name, occurred_at, properties::text, context::text, CASE type WHEN 2 THEN traits::text END
FROM profiles_event
WHERE profile_id = %(profile)s AND occurred_at < %(now)s {named} ORDER BY occurred_at, id
"""


def explain_membership(*, segment: LiveSegment, profile_id: int, now: datetime) -> tuple[bool, list[Explanation]]:
    """Explain why a profile is in a segment, or not.

    Parameters
    ----------
    profile_id : int
        Internal id.

    Returns
    -------
    (bool, list of Explanation)
        Whether the definition holds at `now` (never for a restricted profile), and each condition's part in it.
    """
    profile = Profile.objects.get(pk=profile_id)
    person = read_person(profile=profile, tokens=segment.tokens, now=now)
    at = Moment(now, installation_zone=installation_zone())
    tree = explain(segment.definition, person, at)
    return tree[0].result and not profile.restricted, tree


def explain_definition(*, trial: Trial, profile_ids: Sequence[int]) -> list[tuple[int, bool, list[Explanation]]]:
    """Explain for some profiles whether a definition that is only tried would find them.

    Parameters
    ----------
    profile_ids : sequence of int
        Internal ids; those that do not exist are left out.

    Returns
    -------
    list of (int, bool, list of Explanation)
        In the order given, as `explain_membership`.
    """
    tokens = depends(trial.definition) | {token for nested in trial.inline.values() for token in depends(nested)}
    at = Moment(trial.now, installation_zone=installation_zone(), inline=trial.inline)
    profiles = Profile.objects.in_bulk(list(profile_ids))
    told = []
    for profile_id in profile_ids:
        profile = profiles.get(profile_id)
        if profile is not None:
            tree = explain(trial.definition, read_person(profile=profile, tokens=tokens, now=trial.now), at)
            told.append((profile_id, tree[0].result and not profile.restricted, tree))
    return told


def read_person(*, profile: Profile, tokens: Iterable[str], now: datetime) -> Person:
    """Read a profile with what a definition with these tokens can ask about."""
    tokens = frozenset(tokens)
    names = [token.removeprefix("event:") for token in tokens if token.startswith("event:")]
    return Person(
        uuid=str(profile.uuid),
        traits=profile.traits,
        events=tuple(_events(profile.pk, names, now)) if names else (),
        consents=tuple(_consents(profile.pk)),
        identifiers=tuple(
            HeldIdentifier(row.type.key, row.value, row.verified)
            for row in Identifier.objects.filter(profile_id=profile.pk).select_related("type")
        ),
        segments=dict(Membership.objects.filter(profile_id=profile.pk).values_list("segment__key", "since")),
        entries=tuple(
            Entry(key, kind == MembershipChange.Kind.ENTERED, at)
            for key, kind, at, reason in MembershipChange.objects.filter(profile_id=profile.pk).values_list(
                "segment__key", "kind", "at", "reason"
            )
            if reason.get("kind") != MERGED
        ),
        computed=_computed(profile.pk) if any(token.startswith("trait:") for token in tokens) else {},
        scores=_scores(profile.pk, now) if RANKED in tokens else None,
        lists=frozenset(ListMember.objects.filter(profile_id=profile.pk).values_list("list__key", flat=True)),
    )


def _events(profile_id: int, names: list[str], now: datetime) -> Iterable[Event]:
    everything = ANY_EVENT in names
    orders = _orders(profile_id, now) if ORDER in names else ()
    parameters: dict[str, Any] = {"profile": profile_id, "now": now, "names": names}
    with connection.cursor() as cursor:
        cursor.execute(EVENTS.format(named="" if everything else "AND name = ANY(%(names)s)"), parameters)
        rows = cursor.fetchall()
    stored = (
        Event(
            id,
            name,
            occurred_at,
            orjson.loads(properties or "null"),
            orjson.loads(context or "null"),
            traits=orjson.loads(traits or "null"),
        )
        for id, name, occurred_at, properties, context, traits in rows
    )
    sessions = _sessions(profile_id, now) if SESSION in names else ()
    return (*stored, *orders, *sessions)


def _computed(profile_id: int) -> dict[str, Any]:
    """Return the values of all computed traits in use, defaults where there is none of the person."""
    values = TraitValue.objects.filter(profile_id=profile_id, value__isnull=False)
    return {**computed_defaults(), **dict(values.values_list("trait__key", "value"))}


def _scores(profile_id: int, now: datetime) -> Scores | None:
    statement = scores_sql("%(now)s", only="array[%(profile)s]::bigint[]")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT r, f, m FROM ({statement}) AS scores", {"now": now, "profile": profile_id})
        row = cursor.fetchone()
    return Scores(*row) if row else None


def _orders(profile_id: int, now: datetime) -> Iterable[Event]:
    rows = list_orders(profile_ids=[profile_id]).filter(occurred_at__lt=now).order_by("occurred_at", "id")
    return (Event(row.id, ORDER, row.occurred_at, row.properties, row.context, derived=True) for row in rows)


def _sessions(profile_id: int, now: datetime) -> Iterable[Event]:
    """Derive the sessions from all events of the person, as the statements do: as of today."""
    keys = {source_id: key for read in source_keys for source_id, key in read().items()}
    rows = EventRow.objects.filter(profile_id=profile_id, type__in=ACTIVE_TYPES).values_list(
        "id", "occurred_at", "source_id", "context"
    )
    active = [Event(id, "", at, context=context, source=keys.get(source_id, "")) for id, at, source_id, context in rows]
    return [session for session in derive_sessions(active, session_gap()) if session.occurred_at < now]


def _consents(profile_id: int) -> Iterable[Consent]:
    rows = Current.objects.filter(profile_id=profile_id).values_list(
        "purpose__key", "channel", "state", "effective_at", "recorded_at", "decision_id", "expires_at"
    )
    return (Consent(*row) for row in rows)
