"""How many people may go in one request of a destination."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segments", "0009_list_files")]

    operations = [
        migrations.AddField(
            model_name="destination",
            name="people_per_request",
            field=models.SmallIntegerField(default=1, db_default=1),
        ),
    ]
