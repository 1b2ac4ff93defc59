"""People of the reference, written into the tables as the product stores them."""

import json
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from psycopg2.extras import execute_values

from profiles.services.sessions import recompute_sessions
from segments.language.computed import ORDER
from segments.language.person import Person
from tests.segments.histories import SOURCES


def store(people: list[Person], now: datetime) -> dict[int, Person]:
    """Write people as the product stores them and return them by profile id."""
    ids = {number + 1: each for number, each in enumerate(people)}
    at = datetime(2020, 1, 1, tzinfo=UTC)
    with connection.cursor() as wrapper:
        cursor = wrapper.cursor
        cursor.execute(
            "insert into consent_purpose (key, name, legal_basis, channels, recipients, consent_categories,"
            " special_category, created_at) values ('marketing', 'm', 'consent', '[]', '[]', '[]', false, %s)"
            " returning id",
            [at],
        )
        purpose = cursor.fetchone()[0]
        keys = {}
        for key in ("vip", "lost"):
            cursor.execute(
                "insert into segments_segment (key, name, status, purpose, channel, version, member_count,"
                " created_at, created_by, tags) values (%s, 'x', 'live', '', '', 1, 0, %s, '', '{}') returning id",
                [key, at],
            )
            keys[key] = cursor.fetchone()[0]
        cursor.execute(
            "insert into segments_staticlist (key, name, created_at) values ('staff', 's', %s) returning id", [at]
        )
        staff = cursor.fetchone()[0]
        cursor.execute("select key, id from profiles_identifiertype")
        types = dict(cursor.fetchall())
        sources = {key: number for number, key in enumerate(SOURCES, 1)}
        cursor.executemany(
            "insert into ingestion_source (id, key, name, kind, write_key_digest, write_key_sealed, required_purpose,"
            " hold_days, max_event_bytes, ip_storage, enabled, created_at)"
            " values (%s, %s, 'x', 'server', %s, '', '', 30, 1024, 'full', true, %s)",
            [(number, key, key.encode(), at) for key, number in sources.items()],
        )

        def insert(table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
            if rows:
                execute_values(cursor, f"insert into {table} ({columns}) values %s", rows)

        insert(
            "profiles_profile",
            "id, uuid, created_at, restricted, traits, trait_meta",
            [(n, p.uuid, at, False, json.dumps(p.traits), "{}") for n, p in ids.items()],
        )
        insert(
            "profiles_profile",
            "id, uuid, created_at, restricted, traits, trait_meta",
            [(1000, "00000000-0000-4000-8000-000000000000", at, True, "{}", "{}")],
        )
        insert(
            "profiles_event",
            "id, profile_id, type, name, occurred_at, received_at, source_id, message_id, identifiers,"
            " properties, context, traits",
            [
                (
                    e.id,
                    n,
                    1 if e.name else 2,
                    e.name,
                    e.occurred_at,
                    e.occurred_at,
                    sources.get(e.source, 1),
                    str(e.id),
                    [],
                    None if e.properties is None else json.dumps(e.properties),
                    None if e.context is None else json.dumps(e.context),
                    None if e.traits is None else json.dumps(e.traits),
                )
                for n, p in ids.items()
                for e in p.events
                if not e.derived
            ],
        )
        insert(
            "profiles_order",
            "id, profile_id, source_id, order_id, occurred_at, currency, base_currency, revenue, converted,"
            " properties, context",
            [
                (
                    e.id,
                    n,
                    1,
                    str(e.id),
                    e.occurred_at,
                    "EUR",
                    "EUR",
                    (e.properties or {}).get("revenue"),
                    (e.properties or {}).get("converted_revenue"),
                    json.dumps(e.properties),
                    None if e.context is None else json.dumps(e.context),
                )
                for n, p in ids.items()
                for e in p.events
                if e.derived and e.name == ORDER
            ],
        )
        recompute_sessions(cursor, list(ids))
        insert(
            "profiles_activity",
            "profile_id, first_event_at, last_event_at, event_count",
            [
                (n, min(times), max(times), len(times))
                for n, p in ids.items()
                if (times := [e.occurred_at for e in p.events if not e.derived])
            ],
        )
        insert(
            "consent_current",
            "profile_id, purpose_id, channel, state, effective_at, recorded_at, expires_at,"
            " decision_id, conflict, objected",
            [
                (
                    n,
                    purpose,
                    c.channel,
                    c.state,
                    c.effective_at,
                    c.recorded_at,
                    c.expires_at,
                    c.decision_id,
                    False,
                    False,
                )
                for n, p in ids.items()
                for c in p.consents
            ],
        )
        insert(
            "profiles_identifier",
            "type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state",
            [
                (types[h.type], f"{n}-{i}".encode(), h.value, n, at, 1, h.verified, 0)
                for n, p in ids.items()
                for i, h in enumerate(p.identifiers)
            ],
        )
        insert(
            "segments_membership",
            "segment_id, profile_id, since",
            [(keys[key], n, since) for n, p in ids.items() for key, since in p.segments.items()],
        )
        insert(
            "segments_membershipchange",
            "segment_id, profile_id, profile_uuid, kind, at, reason",
            [
                (keys[e.segment], n, p.uuid, 1 if e.entered else 2, e.at, "{}")
                for n, p in ids.items()
                for e in p.entries
            ],
        )
        insert(
            "segments_listmember", "list_id, profile_id, added_at", [(staff, n, at) for n, p in ids.items() if p.lists]
        )
    return ids


def rows(compiled: Any, **more: Any) -> list[tuple[Any, ...]]:
    """Run a compiled statement."""
    with connection.cursor() as cursor:
        cursor.execute(compiled.sql, {**compiled.parameters, **more})
        return cursor.fetchall()
