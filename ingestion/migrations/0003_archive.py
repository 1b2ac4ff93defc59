"""Make the archive of accepted messages, as they were received, with a partition for each day."""

from datetime import UTC, datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from ingestion.partitions import DAYS_AHEAD, day_statements, older_statements

ARCHIVE = """
CREATE TABLE ingestion_archive (
    first_id bigint NOT NULL,
    archived_at timestamptz NOT NULL,
    last_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    source_id integer NOT NULL,
    endpoint text NOT NULL,
    ip text NOT NULL,
    user_agent text NOT NULL,
    removed bigint[],
    body bytea NOT NULL,
    PRIMARY KEY (first_id, archived_at)
) PARTITION BY RANGE (archived_at);
"""


def make_partitions(apps, schema_editor):
    first = datetime.now(UTC).date() - timedelta(days=1)
    for statement in older_statements(first):
        schema_editor.execute(statement)
    for offset in range(DAYS_AHEAD + 2):
        for statement in day_statements(first + timedelta(days=offset)):
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0002_treatments")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(ARCHIVE, "DROP TABLE ingestion_archive"),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Archived",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "first_id", "archived_at", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("first_id", models.BigIntegerField()),
                        ("archived_at", models.DateTimeField()),
                        ("last_id", models.BigIntegerField()),
                        ("received_at", models.DateTimeField()),
                        ("source_id", models.IntegerField()),
                        ("endpoint", models.TextField()),
                        ("ip", models.TextField(blank=True)),
                        ("user_agent", models.TextField(blank=True)),
                        ("removed", ArrayField(models.BigIntegerField(), null=True)),
                        ("body", models.BinaryField()),
                    ],
                    options={"db_table": "ingestion_archive", "managed": False},
                ),
            ],
        ),
    ]
