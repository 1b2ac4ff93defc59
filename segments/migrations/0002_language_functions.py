"""The SQL functions that compiled definitions call (`segments.language.functions`)."""

from django.db import migrations

from segments.language.functions import CREATE, DROP


class Migration(migrations.Migration):
    dependencies = [("segments", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
