"""An erasure is clean before it is completed: its recipients have to know, too."""

from django.db import migrations, models

CLEAN = "UPDATE consent_privacyrequest SET clean_at = completed_at WHERE type = 'erasure' AND status = 'completed'"


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0014_cancelled_regulations"),
    ]

    operations = [
        migrations.AddField(
            model_name="privacyrequest",
            name="clean_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="recipientnotice",
            name="answer",
            field=models.CharField(
                blank=True,
                choices=[
                    ("impossible", "Telling them is impossible"),
                    ("disproportionate", "Telling them would be a disproportionate effort"),
                    ("removal", "Its destination is sent a removal."),
                    ("in_house", "The file stayed in the house: whoever exported it deletes their copy."),
                ],
                db_default="",
                default="",
                max_length=16,
            ),
        ),
        migrations.RunSQL(CLEAN, migrations.RunSQL.noop),
    ]
