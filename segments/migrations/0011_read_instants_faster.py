"""The functions of the language anew: instants of the usual shapes are read without a pattern."""

from django.db import migrations

from segments.language.functions import CREATE


class Migration(migrations.Migration):
    dependencies = [("segments", "0010_people_per_request")]

    # The way back leaves them: what they answer is the same.
    operations = [migrations.RunSQL(CREATE, migrations.RunSQL.noop)]
