"""Versions and runs say what they were learned with."""

from django.db import migrations, models

ENGINE = {"choices": [("dedupe", "Dedupe"), ("splink", "Splink")], "default": "dedupe", "max_length": 10}


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0015_matching_keys_by_profile"),
    ]

    operations = [
        migrations.AddField(model_name="matchversion", name="engine", field=models.CharField(**ENGINE)),
        migrations.AddField(model_name="matchrun", name="engine", field=models.CharField(**ENGINE)),
    ]
