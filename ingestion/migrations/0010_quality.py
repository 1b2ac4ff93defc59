"""Make the tables of quality: counts, agreement between sources, rules for fields, and how far has been measured."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ingestion", "0009_inventory"),
    ]

    operations = [
        migrations.CreateModel(
            name="FedIdentifier",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("type", models.TextField()),
                ("last_seen_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source_id", "type"), name="ingestion_fedidentifier_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityAgreement",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("other_id", models.IntegerField()),
                ("hour", models.DateTimeField()),
                ("trait", models.TextField()),
                ("compared", models.BigIntegerField()),
                ("agreed", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="ingestion_agreement_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source_id", "other_id", "hour", "trait"), name="ingestion_agreement_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityCount",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("hour", models.DateTimeField()),
                ("type", models.CharField(max_length=10)),
                ("event", models.TextField()),
                ("field", models.TextField()),
                ("messages", models.BigIntegerField()),
                ("texts", models.BigIntegerField()),
                ("numbers", models.BigIntegerField()),
                ("booleans", models.BigIntegerField()),
                ("lists", models.BigIntegerField()),
                ("maps", models.BigIntegerField()),
                ("empty", models.BigIntegerField()),
                ("checked", models.BigIntegerField()),
                ("broken", models.BigIntegerField()),
                ("referred", models.BigIntegerField()),
                ("unknown", models.BigIntegerField()),
                ("first_id", models.BigIntegerField(null=True)),
                ("last_id", models.BigIntegerField(null=True)),
                (
                    "delays",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), null=True, size=None
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="ingestion_qualitycount_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source_id", "hour", "type", "event", "field"), name="ingestion_qualitycount_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityRule",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("type", models.CharField(max_length=10)),
                ("event", models.TextField(blank=True)),
                ("field", models.TextField()),
                ("is_required", models.BooleanField(default=False)),
                ("minimum", models.FloatField(null=True)),
                ("maximum", models.FloatField(null=True)),
                (
                    "allowed",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("known_type", models.CharField(blank=True, max_length=10)),
                ("known_event", models.TextField(blank=True)),
                ("known_field", models.TextField(blank=True)),
                ("is_learned", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                (
                    "known_source",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="ingestion.source"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="quality_rules", to="ingestion.source"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KnownValue",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("digest", models.BinaryField()),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_values",
                        to="ingestion.qualityrule",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="QualityState",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("after_id", models.BigIntegerField()),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="ingestion_qualitystate_single")
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="qualityrule",
            constraint=models.UniqueConstraint(
                fields=("source", "type", "event", "field"), name="ingestion_qualityrule_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="knownvalue",
            constraint=models.UniqueConstraint(fields=("rule", "digest"), name="ingestion_knownvalue_once"),
        ),
    ]
