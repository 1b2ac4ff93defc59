"""Say for each source how much of a sender's address it keeps."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0007_imports")]

    operations = [
        migrations.AddField(
            model_name="source",
            name="ip_storage",
            field=models.CharField(
                choices=[("none", "None"), ("truncated", "Truncated"), ("full", "Full")],
                default="truncated",
                max_length=10,
            ),
        ),
    ]
