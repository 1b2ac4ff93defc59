"""Make the partitioned tables of events and changes, and set storage for rows that are rewritten often."""

from datetime import UTC, datetime, timedelta

from django.db import migrations

from profiles.partitions import DAYS_AHEAD, change_days, event_partitions, older_changes

EVENT = """
CREATE TABLE profiles_event (
    id bigint NOT NULL,
    profile_id bigint NOT NULL,
    type smallint NOT NULL,
    name text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    original_timestamp text,
    sent_at timestamptz,
    source_id integer NOT NULL,
    message_id text NOT NULL,
    identifiers bigint[] NOT NULL,
    properties jsonb,
    traits jsonb,
    context jsonb,
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX profiles_event_of_profile ON profiles_event (profile_id, name, occurred_at);
CREATE INDEX profiles_event_of_name ON profiles_event (name, occurred_at) INCLUDE (profile_id);
"""

CHANGE = """
CREATE SEQUENCE profiles_change_id_seq AS bigint;
CREATE TABLE profiles_change (
    id bigint NOT NULL DEFAULT nextval('profiles_change_id_seq'),
    profile_id bigint NOT NULL,
    kind smallint NOT NULL,
    at timestamptz NOT NULL,
    detail jsonb NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX profiles_change_of_profile ON profiles_change (profile_id, at, id);
ALTER SEQUENCE profiles_change_id_seq OWNED BY profiles_change.id;
"""

STORAGE = """
ALTER TABLE profiles_activity SET (fillfactor = 70);
ALTER TABLE profiles_profile SET (fillfactor = 85);
ALTER TABLE profiles_work SET (autovacuum_vacuum_scale_factor = 0.02);
"""


def make_partitions(apps, schema_editor):
    today = datetime.now(UTC).date()
    parts = event_partitions(today)
    parts.append(older_changes(today))
    parts.extend(change_days(today - timedelta(days=1), today + timedelta(days=DAYS_AHEAD)))
    for part in parts:
        for statement in part.statements():
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("profiles", "0001_initial")]

    operations = [
        migrations.RunSQL(EVENT, "DROP TABLE profiles_event"),
        migrations.RunSQL(CHANGE, "DROP TABLE profiles_change"),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunPython(make_partitions, migrations.RunPython.noop),
    ]
