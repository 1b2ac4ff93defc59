"""Block keys in one index, found by a list per profile, and frequencies of values; both are made anew by the worker."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

MODEL = {"db_constraint": False, "db_index": False, "on_delete": django.db.models.deletion.CASCADE}


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0014_sessions"),
    ]

    operations = [
        migrations.DeleteModel(name="MatchKey"),
        migrations.CreateModel(
            name="MatchKey",
            fields=[
                ("pk", models.CompositePrimaryKey("model", "key", "profile_id", primary_key=True, serialize=False)),
                ("key", models.BigIntegerField()),
                ("profile_id", models.BigIntegerField()),
                ("model", models.ForeignKey(to="profiles.matchmodel", **MODEL)),
            ],
        ),
        migrations.CreateModel(
            name="MatchKeyList",
            fields=[
                ("pk", models.CompositePrimaryKey("profile_id", "model", primary_key=True, serialize=False)),
                ("profile_id", models.BigIntegerField()),
                ("keys", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ("model", models.ForeignKey(to="profiles.matchmodel", **MODEL)),
            ],
        ),
        migrations.CreateModel(
            name="MatchFrequencies",
            fields=[
                (
                    "model",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="frequencies",
                        serialize=False,
                        to="profiles.matchmodel",
                    ),
                ),
                ("size", models.PositiveIntegerField()),
                ("filled", models.JSONField(default=dict)),
                ("digests", models.BinaryField()),
                ("counts", models.BinaryField()),
                ("seen_change_id", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL("UPDATE profiles_matchmodel SET followed_run_id = NULL", migrations.RunSQL.noop),
    ]
