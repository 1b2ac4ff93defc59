"""Say up to which copy a paused line was searched for suppressed people."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0014_alerts")]

    operations = [
        migrations.AddField(
            model_name="forwarding",
            name="examined_id",
            field=models.BigIntegerField(default=0),
        ),
    ]
