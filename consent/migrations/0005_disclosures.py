"""Make the register of disclosures, with a partition for each month."""

from datetime import UTC, datetime

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from consent.partitions import MONTHS_AHEAD, add_months, month_statements, older_statements

REGISTER = """
CREATE SEQUENCE consent_disclosure_id_seq AS bigint;
CREATE TABLE consent_disclosure (
    id bigint NOT NULL DEFAULT nextval('consent_disclosure_id_seq'),
    at timestamptz NOT NULL,
    profile_id bigint NOT NULL,
    terms_id integer NOT NULL,
    reference text NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX consent_disclosure_of_profile ON consent_disclosure (profile_id, at, id);
ALTER SEQUENCE consent_disclosure_id_seq OWNED BY consent_disclosure.id;
"""


def make_partitions(apps, schema_editor):
    first = add_months(datetime.now(UTC).date(), -1)
    for statement in older_statements(first):
        schema_editor.execute(statement)
    for months in range(MONTHS_AHEAD + 2):
        for statement in month_statements(add_months(first, months)):
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_ways_in")]

    operations = [
        migrations.CreateModel(
            name="DisclosureTerms",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("digest", models.BinaryField(unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("export", "Export"),
                            ("delivery", "Delivery"),
                            ("removal", "Removal"),
                            ("other", "Other"),
                        ],
                        max_length=10,
                    ),
                ),
                ("recipient", models.CharField(max_length=200)),
                ("destination", models.CharField(blank=True, max_length=64)),
                ("purpose", models.CharField(max_length=64)),
                ("legal_basis", models.CharField(max_length=24)),
                ("channel", models.CharField(blank=True, max_length=32)),
                (
                    "fields",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("actor", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(REGISTER, "DROP TABLE consent_disclosure"),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Disclosure",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "id", "at", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("profile_id", models.BigIntegerField()),
                        (
                            "terms",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="consent.disclosureterms",
                            ),
                        ),
                        ("reference", models.TextField(blank=True)),
                    ],
                    options={"db_table": "consent_disclosure", "managed": False},
                ),
            ],
        ),
    ]
