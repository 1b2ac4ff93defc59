"""Say for each source who looks after it, what it is for, and how often a message is expected."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0008_ip_storage")]

    operations = [
        migrations.AddField(
            model_name="source",
            name="owner",
            field=models.CharField(blank=True, db_default="", default="", max_length=120),
        ),
        migrations.AddField(
            model_name="source",
            name="purpose",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
        migrations.AddField(
            model_name="source",
            name="expected_every_minutes",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
