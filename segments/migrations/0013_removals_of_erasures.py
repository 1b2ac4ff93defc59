"""What erasures left to be removed at destinations, until the receiver has taken it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segments", "0012_checks_by_segment")]

    operations = [
        migrations.CreateModel(
            name="Removal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("request_id", models.UUIDField(db_index=True)),
                ("destination_key", models.SlugField(max_length=64)),
                ("recipient", models.CharField(max_length=200)),
                ("delivery_id", models.BigIntegerField(unique=True)),
                ("confirmed_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
