"""Copies of accepted requests for another system."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0011_gpc_header")]

    operations = [
        migrations.CreateModel(
            name="Forwarding",
            fields=[
                (
                    "source",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="forwarding",
                        serialize=False,
                        to="ingestion.source",
                    ),
                ),
                ("url", models.TextField()),
                ("write_key_sealed", models.BinaryField()),
                ("purpose", models.SlugField(blank=True, max_length=64)),
                ("enabled", models.BooleanField(default=True)),
                ("since", models.DateTimeField()),
                ("is_full", models.BooleanField(default=False)),
                ("sent_requests", models.BigIntegerField(default=0)),
                ("sent_messages", models.BigIntegerField(default=0)),
                ("suppressed_messages", models.BigIntegerField(default=0)),
                ("refused_messages", models.BigIntegerField(default=0)),
                ("unreadable_messages", models.BigIntegerField(default=0)),
                ("uncopied_requests", models.BigIntegerField(default=0)),
                ("failures", models.IntegerField(default=0)),
                ("retry_at", models.DateTimeField(null=True)),
                ("last_at", models.DateTimeField(null=True)),
                ("last_status", models.SmallIntegerField(null=True)),
                ("last_reason", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="ForwardedCopy",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("source_id", models.IntegerField()),
                ("received_at", models.DateTimeField()),
                ("queued_at", models.DateTimeField()),
                ("endpoint", models.CharField(max_length=10)),
                ("items", models.IntegerField()),
                ("size", models.IntegerField()),
                ("ip", models.TextField(blank=True)),
                ("user_agent", models.TextField(blank=True)),
                ("attempts", models.SmallIntegerField(default=0)),
                ("retry_at", models.DateTimeField(null=True)),
                ("dead_at", models.DateTimeField(null=True)),
                ("reason", models.TextField(blank=True)),
                ("body", models.BinaryField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("dead_at", None)),
                        fields=["source_id", "id"],
                        include=("size",),
                        name="ingestion_forwardedcopy_line",
                    ),
                    models.Index(
                        condition=models.Q(("dead_at__isnull", False)),
                        fields=["source_id", "id"],
                        include=("size",),
                        name="ingestion_forwardedcopy_dead",
                    ),
                ],
            },
        ),
    ]
