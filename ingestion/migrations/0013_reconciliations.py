"""Make the tables of reconciliations."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0012_forwarding")]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("running", "Running"), ("done", "Done"), ("cancelled", "Cancelled")],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("total", models.BigIntegerField(default=0)),
                ("done", models.BigIntegerField(default=0)),
                ("after_id", models.BigIntegerField(default=0)),
                ("last_id", models.BigIntegerField(default=0)),
                ("both", models.BigIntegerField(default=0)),
                ("only_a", models.BigIntegerField(default=0)),
                ("only_b", models.BigIntegerField(default=0)),
                ("fields", models.JSONField(default=dict)),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "a",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="ingestion.source"
                    ),
                ),
                (
                    "b",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="ingestion.source"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("a", models.F("b")), _negated=True),
                        name="ingestion_reconciliation_two_sources",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="ReconciledPerson",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("field", models.TextField(blank=True)),
                (
                    "state",
                    models.SmallIntegerField(choices=[(1, "only_a"), (2, "only_b"), (3, "different"), (4, "form")]),
                ),
                ("profile_id", models.BigIntegerField(db_index=True)),
                (
                    "reconciliation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="people",
                        to="ingestion.reconciliation",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["reconciliation", "field", "state", "id"], name="ingestion_reconciled_list")
                ]
            },
        ),
    ]
