"""Let the ledger know who followed whom, remember what consent objects said, and hold what is written once."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

APPEND_ONLY = """
CREATE FUNCTION consent_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are written once', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER consent_decision_written_once BEFORE UPDATE ON consent_decision FOR EACH ROW
    WHEN ((to_jsonb(OLD) - '{profile_id,cleared_at,clearance}'::text[])
        IS DISTINCT FROM (to_jsonb(NEW) - '{profile_id,cleared_at,clearance}'::text[]))
    EXECUTE FUNCTION consent_refuse_change();
CREATE TRIGGER consent_notice_written_once BEFORE UPDATE OR DELETE ON consent_notice FOR EACH ROW
    EXECUTE FUNCTION consent_refuse_change();
"""
CHANGEABLE = """
DROP TRIGGER consent_decision_written_once ON consent_decision;
DROP TRIGGER consent_notice_written_once ON consent_notice;
DROP FUNCTION consent_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="current",
            name="objected",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="decision",
            name="cleared_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="decision",
            name="clearance",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="decision",
            name="follows",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="approved_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="before",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="privacyrequest",
            name="closure",
            field=models.BinaryField(null=True),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="type",
            field=models.CharField(
                choices=[
                    ("access", "Access"),
                    ("portability", "Portability"),
                    ("erasure", "Erasure"),
                    ("rectification", "Rectification"),
                    ("restriction", "Restriction"),
                    ("objection", "Objection"),
                    ("opt_out", "Opt Out"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="UnmappedCategory",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("category", models.CharField(max_length=64)),
                ("count", models.BigIntegerField()),
                ("last_seen_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source_id", "category"), name="consent_unmapped_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="SeenPreference",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("lookup", models.BinaryField()),
                ("identifier_id", models.BigIntegerField(db_index=True)),
                ("value", models.BooleanField()),
                ("occurred_at", models.DateTimeField()),
                (
                    "purpose",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="consent.purpose"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source_id", "lookup", "purpose"), name="consent_seen_once")
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, CHANGEABLE),
    ]
