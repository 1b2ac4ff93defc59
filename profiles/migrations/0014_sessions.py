"""The sessions (`$session`) of the events that are there; before, they were derived each time they were asked for.

It takes some 10 s for each million of events.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import migrations, models

# Visits are prolonged more often than they begin: room for their rows to change in place.
ROOM = "ALTER TABLE profiles_session SET (fillfactor = 90)"
FILL = """
INSERT INTO profiles_session (profile_id, source_id, occurred_at, ended_at, id, events, campaign)
SELECT profile_id, source_id, occurred_at, coalesce(lead(before) OVER following, last_at), id,
    coalesce(lead(place) OVER following, total + 1) - place, campaign
FROM (
    SELECT e.id, e.profile_id, e.source_id, e.occurred_at, e.context -> 'campaign' AS campaign,
        lag(e.occurred_at) OVER timeline AS before, row_number() OVER timeline AS place,
        max(e.occurred_at) OVER (PARTITION BY e.profile_id, e.source_id) AS last_at,
        count(*) OVER (PARTITION BY e.profile_id, e.source_id) AS total
    FROM profiles_event e WHERE e.type IN (1, 3, 4)
    WINDOW timeline AS (PARTITION BY e.profile_id, e.source_id ORDER BY e.occurred_at, e.id)
) AS seen
WHERE before IS NULL OR occurred_at - before >= %s
WINDOW following AS (PARTITION BY profile_id, source_id ORDER BY occurred_at, id)
"""


def fill(apps: Any, schema_editor: Any) -> None:
    """Make the sessions of all events."""
    minutes = settings.CDP_SESSION_MINUTES
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(FILL, [timedelta(minutes=minutes)])
    apps.get_model("profiles", "SessionGap").objects.create(pk=1, minutes=minutes)


class Migration(migrations.Migration):
    dependencies = [("profiles", "0013_matching_followed_run")]

    operations = [
        migrations.CreateModel(
            name="SessionGap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("minutes", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "profile_id",
                        "source_id",
                        "occurred_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("profile_id", models.BigIntegerField()),
                ("occurred_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField()),
                ("id", models.BigIntegerField()),
                ("source_id", models.IntegerField()),
                ("events", models.IntegerField()),
                ("campaign", models.JSONField(null=True)),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["occurred_at"], include=["profile_id"], name="profiles_session_began"),
        ),
    ]
