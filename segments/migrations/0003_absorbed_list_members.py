"""Places on lists that a merge made superfluous, so that an undo gives them back."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segments", "0002_language_functions")]

    operations = [
        migrations.CreateModel(
            name="AbsorbedListMember",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("profile_id", models.BigIntegerField(db_index=True)),
                ("identifier_id", models.BigIntegerField(null=True)),
                ("added_at", models.DateTimeField()),
                (
                    "list",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="segments.staticlist"
                    ),
                ),
            ],
        ),
    ]
