"""What this app holds about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from cdp.core.access import SYSTEM
from cdp.core.copying import int_array
from cdp.core.registries import Subject, erased_event_listeners
from profiles.matching_models import (
    MatchCandidate,
    MatchedPair,
    MatchedRecord,
    MatchKeyList,
    MatchLabel,
    MatchQuestion,
)
from profiles.models import (
    AbsorbedId,
    Activity,
    Change,
    Correction,
    Edge,
    GroupMembership,
    Identifier,
    MegaProfile,
    Merge,
    Profile,
    QuarantinedValue,
    Refusal,
    RulesExample,
    RulesRunProfile,
    RulesRunValue,
    Work,
)
from profiles.queries.corrections import present_correction
from profiles.queries.groups import read_groups_of
from profiles.queries.profiles import present_identifier, present_traits, read_source_names
from profiles.queries.timeline import (
    EventFilter,
    find_events,
    present_change,
    present_event,
    present_merge,
    present_refusal,
)
from profiles.sealed_models import PersonKey
from profiles.services.kept_keys import forget_keys
from profiles.services.matching_gone import drop_keys
from profiles.services.orders import forget_order_messages

EXPORT_LIMIT = 1_000_000
ERASE_EVENTS = """
DELETE FROM profiles_event WHERE (id, occurred_at) IN (
    SELECT id, occurred_at FROM profiles_event WHERE profile_id = ANY(%s::bigint[]) LIMIT %s
) RETURNING id
"""
FORGET_IN_OTHERS = """
WITH other AS (
    SELECT id FROM profiles_profile WHERE uuid = ANY(%(uuids)s::uuid[])
    UNION SELECT profile_id FROM profiles_absorbedid WHERE uuid = ANY(%(uuids)s::uuid[])
),
place AS (
    SELECT id FROM other
    UNION SELECT x.dropped_id FROM profiles_absorbedid x JOIN other ON other.id = x.profile_id
)
UPDATE profiles_change c SET detail = c.detail - ARRAY['absorbed', 'survivor', 'separated']
FROM place WHERE c.profile_id = place.id AND c.detail ->> 'merge' = ANY(%(merges)s::text[])
"""


class Events:
    """The timeline. The outcome rows of the messages follow through `erased_event_listeners`."""

    name = "events"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every event, newest first."""
        sources = read_source_names()
        events = find_events(
            profile_ids=subject.profile_ids,
            wanted=EventFilter(),
            after=None,
            backward=False,
            limit=EXPORT_LIMIT,
            opens=True,
        )
        return {"events": [present_event(e, sources=sources, principal=SYSTEM, loads=orjson.loads) for e in events]}

    def count(self, *, subject: Subject) -> int:
        """Return how many events there are."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM profiles_event WHERE profile_id = ANY(%s::bigint[])",
                [int_array(subject.profile_ids)],
            )
            count: int = cursor.fetchone()[0]
        return count

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` events."""
        with connection.cursor() as cursor:
            cursor.execute(ERASE_EVENTS, [int_array(subject.profile_ids), limit])
            ids = [row[0] for row in cursor.fetchall()]
            if ids:
                forget_order_messages(cursor, ids, now=timezone.now())
        if ids:
            for listener in erased_event_listeners:
                listener(ids)
        return len(ids)


class Groups:
    """Which groups the person belongs to. The groups themselves stay."""

    name = "groups"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the groups, last named first."""
        return {"groups": read_groups_of(profile_ids=subject.profile_ids, principal=SYSTEM)}

    def count(self, *, subject: Subject) -> int:
        """Return how many memberships there are."""
        return GroupMembership.objects.filter(profile_id__in=subject.profile_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` memberships."""
        rows = GroupMembership.objects.filter(profile_id__in=subject.profile_ids)
        return GroupMembership.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:limit])).delete()[0]


class Corrections:
    """Traits put right by hand."""

    name = "corrections"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every correction, those that were lifted included, oldest first."""
        rows = Correction.objects.filter(profile_id__in=subject.profile_ids).order_by("id")
        return {"corrections": [present_correction(row, principal=SYSTEM) for row in rows]}

    def count(self, *, subject: Subject) -> int:
        """Return how many corrections there are."""
        return Correction.objects.filter(profile_id__in=subject.profile_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` corrections."""
        rows = Correction.objects.filter(profile_id__in=subject.profile_ids)
        return Correction.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:limit])).delete()[0]


class Ledgers:
    """Merges, refusals, history and waiting work."""

    name = "merges_and_history"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return merges, refusals and history, oldest first."""
        merges, refusals, changes, _ = self._rows(subject)
        return {
            "merges": [present_merge(row) for row in merges.order_by("id")],
            "refusals": [present_refusal(row, principal=SYSTEM) for row in refusals.order_by("id")],
            "changes": [present_change(row) for row in changes.order_by("at", "id")],
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return sum(rows.count() for rows in self._rows(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to about `limit` rows of each kind."""
        merges, refusals, _, work = self._rows(subject)
        gone = 0
        for rows in (refusals, work):
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:limit])
            gone += rows.model._default_manager.filter(pk__in=ids).delete()[0]
        self._forget_in_others(merges, subject)
        AbsorbedId.objects.filter(merge__in=merges).delete()
        Edge.objects.filter(merge__in=merges).update(merge=None)
        gone += merges.delete()[0]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM profiles_change WHERE (id, at) IN (SELECT id, at FROM profiles_change "
                "WHERE profile_id = ANY(%s::bigint[]) LIMIT %s)",
                [int_array(subject.profile_ids), limit],
            )
            gone += cursor.rowcount
        return gone

    @staticmethod
    def _forget_in_others(merges: QuerySet[Merge], subject: Subject) -> None:
        """Take the person's public ids out of the history of those with whom they were one for a time."""
        rows = list(merges.values_list("id", "survivor_uuid", "absorbed_uuid"))
        uuids = {str(uuid) for _, *both in rows for uuid in both} - set(subject.uuids)
        if not uuids:
            return
        with connection.cursor() as cursor:
            cursor.execute(FORGET_IN_OTHERS, {"uuids": list(uuids), "merges": int_array(row[0] for row in rows)})

    @staticmethod
    def _rows(subject: Subject) -> tuple[QuerySet[Merge], QuerySet[Refusal], QuerySet[Change], QuerySet[Work]]:
        uuids = list(subject.uuids)
        named = Q(profile_uuids__overlap=uuids)
        for type_key, value in subject.identifiers:
            named |= Q(identifier_type=type_key, identifier_value=value)
        return (
            Merge.objects.filter(Q(survivor_uuid__in=uuids) | Q(absorbed_uuid__in=uuids)),
            Refusal.objects.filter(named),
            Change.objects.filter(profile_id__in=subject.profile_ids),
            Work.objects.filter(profile_id__in=subject.profile_ids),
        )


class Rules:
    """What runs of identity rules still have to look at and gave as examples, and the list of mega-profiles."""

    name = "identity_rules"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return nothing: the rows only point at profiles."""
        del subject
        return {}

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return sum(rows.count() for rows in self._rows(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete all rows: there are few, whatever the limit."""
        del limit
        return sum(rows.delete()[0] for rows in self._rows(subject))

    @staticmethod
    def _rows(subject: Subject) -> tuple[QuerySet[Any], ...]:
        return (
            RulesExample.objects.filter(profile_uuids__overlap=list(subject.uuids)),
            RulesRunProfile.objects.filter(profile_id__in=subject.profile_ids),
            RulesRunValue.objects.filter(identifier_id__in=subject.identifier_ids),
            QuarantinedValue.objects.filter(pk__in=subject.identifier_ids),
            MegaProfile.objects.filter(pk__in=subject.profile_ids),
        )


class PersonKeys:
    """The keys of what is stored encrypted of the person: without them it can be read nowhere, in no backup either."""

    name = "person_keys"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return nothing: what the keys open is exported where it stands."""
        del subject
        return {}

    def count(self, *, subject: Subject) -> int:
        """Return how many keys there are."""
        return PersonKey.objects.filter(pk__in=subject.identifier_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Destroy up to `limit` keys."""
        forget_keys(subject.identifier_ids)
        rows = PersonKey.objects.filter(pk__in=subject.identifier_ids)
        return PersonKey.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:limit])).delete()[0]


class Matching:
    """What fuzzy matching keeps: questions, labels, clusters, pairs, the review queue and block keys."""

    name = "matching"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return where a model takes the person for somebody else known, as far as it is undecided or was decided."""
        rows = MatchCandidate.objects.filter(Q(left__in=subject.profile_ids) | Q(right__in=subject.profile_ids))
        return {
            "matching": [
                {"model": row.model.key, "probability": row.probability, "state": row.state, "found_at": row.found_at}
                for row in rows.select_related("model").order_by("id")
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return sum(rows.count() for rows in self._rows(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to about `limit` rows of each kind."""
        gone = MatchKeyList.objects.filter(profile_id__in=list(subject.profile_ids)).count()
        drop_keys(subject.profile_ids)
        for rows in self._rows(subject):
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:limit])
            gone += rows.model._default_manager.filter(pk__in=ids).delete()[0]
        return gone

    @staticmethod
    def _rows(subject: Subject) -> tuple[QuerySet[Any], ...]:
        ids, nodes = list(subject.profile_ids), list(subject.identifier_ids)
        of_nodes = Q(left_node__in=nodes) | Q(right_node__in=nodes)
        return (
            MatchQuestion.objects.filter(of_nodes),
            MatchLabel.objects.filter(of_nodes),
            MatchCandidate.objects.filter(of_nodes | Q(left__in=ids) | Q(right__in=ids)),
            MatchedRecord.objects.filter(profile_id__in=ids),
            MatchedPair.objects.filter(Q(left__in=ids) | Q(right__in=ids)),
            MatchKeyList.objects.filter(profile_id__in=ids),
        )


class Profiles:
    """The profile itself: traits, identifiers and their edges, activity, public ids."""

    name = "profile"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the traits and identifiers, with where and when each came from."""
        sources = read_source_names()
        identifiers = Identifier.objects.filter(profile_id__in=subject.profile_ids).select_related("type")
        profiles = Profile.objects.filter(pk__in=subject.profile_ids).order_by("pk")
        return {
            "profile": [
                {"id": str(profile.uuid), "traits": present_traits(profile, sources, SYSTEM)} for profile in profiles
            ],
            "identifiers": [present_identifier(row, sources, SYSTEM) for row in identifiers.order_by("pk")],
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        ids = subject.profile_ids
        return (
            Profile.objects.filter(pk__in=ids).count()
            + Identifier.objects.filter(profile_id__in=ids).count()
            + Activity.objects.filter(pk__in=ids).count()
            + AbsorbedId.objects.filter(profile_id__in=ids).count()
            + self._edges(subject).count()
        )

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete all rows: there are few, whatever the limit."""
        del limit
        ids = subject.profile_ids
        gone = self._edges(subject).delete()[0]
        gone += Identifier.objects.filter(profile_id__in=ids).delete()[0]
        gone += AbsorbedId.objects.filter(profile_id__in=ids).delete()[0]
        gone += Activity.objects.filter(pk__in=ids).delete()[0]
        return gone + Profile.objects.filter(pk__in=ids).delete()[0]

    @staticmethod
    def _edges(subject: Subject) -> QuerySet[Edge]:
        ids = list(subject.identifier_ids)
        return Edge.objects.filter(Q(a__in=ids) | Q(b__in=ids))
