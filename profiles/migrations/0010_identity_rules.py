"""Add the other rules of identifier types, their versions, and what is needed to try and apply them."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


def name_normalisers(apps, schema_editor):
    types = apps.get_model("profiles", "IdentifierType")
    for key in ("email", "phone"):
        types.objects.filter(key=key).update(normaliser=key)


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0009_blocked_edges"),
    ]

    operations = [
        migrations.CreateModel(
            name="MegaProfile",
            fields=[
                ("profile_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("identifiers", models.PositiveIntegerField()),
                ("events", models.PositiveBigIntegerField()),
                ("found_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="QuarantinedValue",
            fields=[
                (
                    "identifier",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="quarantine",
                        serialize=False,
                        to="profiles.identifier",
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[("shared", "Shared"), ("blocked", "Blocked")],
                        db_default="shared",
                        default="shared",
                        max_length=10,
                    ),
                ),
                ("asserted_by", models.PositiveIntegerField(db_default=0, default=0)),
                ("sharing_limit", models.PositiveIntegerField(blank=True, null=True)),
                ("quarantined_at", models.DateTimeField()),
                ("actor", models.TextField(default="system")),
                ("separated_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_by", models.TextField(blank=True, db_default="", default="")),
            ],
        ),
        migrations.CreateModel(
            name="RulesExample",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=10)),
                ("profile_uuids", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                ("detail", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="RulesRun",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("dry", "Dry"), ("apply", "Apply")], max_length=10)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("selecting", "Selecting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="selecting",
                        max_length=10,
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
                ("position", models.JSONField(default=dict)),
                ("total", models.PositiveIntegerField(default=0)),
                ("done", models.PositiveIntegerField(default=0)),
                ("counts", models.JSONField(default=dict)),
                ("chunk", models.PositiveIntegerField(default=200)),
                ("busy_ms", models.PositiveIntegerField(default=0)),
                ("longest_ms", models.PositiveIntegerField(default=0)),
                ("actor", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RulesRunProfile",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("profile_id", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="RulesRunValue",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("identifier_id", models.BigIntegerField(db_index=True)),
                ("change", models.SmallIntegerField(choices=[(1, "Quarantine"), (2, "Lift"), (3, "Block")])),
                ("asserted_by", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="RulesVersion",
            fields=[
                ("version", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("definition", models.JSONField()),
                ("note", models.CharField(blank=True, default="", max_length=300)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
            ],
        ),
        migrations.AddField(
            model_name="identifier",
            name="quarantined",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="identifier",
            name="may_be_shared",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="identifiertype",
            name="blocked_patterns",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="identifiertype",
            name="limit_window",
            field=models.CharField(blank=True, default="", max_length=10),
        ),
        migrations.AddField(
            model_name="identifiertype",
            name="link_purpose",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="identifiertype",
            name="normaliser",
            field=models.CharField(default="text", max_length=20),
        ),
        migrations.AddField(
            model_name="identifiertype",
            name="source_kinds",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="identitysettings",
            name="mega_events",
            field=models.PositiveIntegerField(default=100000),
        ),
        migrations.AddField(
            model_name="identitysettings",
            name="mega_identifiers",
            field=models.PositiveIntegerField(default=100),
        ),
        migrations.AddField(
            model_name="identitysettings",
            name="sharing_counted",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="edge",
            name="state",
            field=models.SmallIntegerField(
                choices=[(1, "Active"), (2, "Retracted"), (3, "Blocked"), (4, "Refused")], default=1
            ),
        ),
        migrations.AddIndex(
            model_name="edge",
            index=models.Index(condition=models.Q(("state", 4)), fields=["a", "b"], name="profiles_edge_refused"),
        ),
        migrations.AddField(
            model_name="quarantinedvalue",
            name="type",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="profiles.identifiertype",
            ),
        ),
        migrations.AddField(
            model_name="rulesexample",
            name="run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="examples", to="profiles.rulesrun"
            ),
        ),
        migrations.AddField(
            model_name="rulesrunprofile",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="waiting",
                to="profiles.rulesrun",
            ),
        ),
        migrations.AddField(
            model_name="rulesrunvalue",
            name="run",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="values",
                to="profiles.rulesrun",
            ),
        ),
        migrations.AddIndex(
            model_name="quarantinedvalue",
            index=models.Index(
                condition=models.Q(("lifted_at__isnull", True), ("separated_at__isnull", True)),
                fields=["identifier"],
                name="profiles_quarantine_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="rulesexample",
            index=django.contrib.postgres.indexes.GinIndex(
                fastupdate=False, fields=["profile_uuids"], name="profiles_rulesexample_profiles"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulesrunprofile",
            constraint=models.UniqueConstraint(fields=("run", "profile_id"), name="profiles_rulesrunprofile_once"),
        ),
        migrations.AddConstraint(
            model_name="rulesrunvalue",
            constraint=models.UniqueConstraint(fields=("run", "identifier_id"), name="profiles_rulesrunvalue_once"),
        ),
        migrations.RunPython(name_normalisers, migrations.RunPython.noop),
    ]
