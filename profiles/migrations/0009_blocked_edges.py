"""Who blocked an edge, by which act and why; who undid a merge; the limit that a refusal was about."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("profiles", "0008_golden_record")]

    operations = [
        migrations.AddField("edge", "blocked_at", models.DateTimeField(null=True)),
        migrations.AddField("edge", "blocked_by", models.TextField(blank=True, db_default="")),
        migrations.AddField("edge", "blocked_for", models.TextField(blank=True, db_default="")),
        migrations.AddField("edge", "block_reason", models.TextField(blank=True, db_default="")),
        migrations.AddField("merge", "undone_by", models.TextField(blank=True, db_default="")),
        migrations.AddField("merge", "absorbed_profile_id", models.BigIntegerField(null=True)),
        migrations.AddField("refusal", "value_limit", models.IntegerField(null=True)),
        migrations.AddIndex(
            "edge",
            models.Index(condition=models.Q(("kind", 6), ("state", 3)), fields=["a"], name="profiles_edge_apart"),
        ),
    ]
