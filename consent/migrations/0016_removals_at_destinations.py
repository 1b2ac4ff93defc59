"""A recipient that got people through destinations has a notice for each: it follows the removal there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consent", "0015_clean_before_completed")]

    operations = [
        migrations.AddField(
            model_name="recipientnotice",
            name="destination",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="type",
            field=models.CharField(
                choices=[
                    ("access", "Access"),
                    ("portability", "Portability"),
                    ("erasure", "Erasure"),
                    ("rectification", "Rectification"),
                    ("restriction", "Restriction"),
                    ("objection", "Objection"),
                    ("opt_out", "Opt-out of sale"),
                ],
                max_length=16,
            ),
        ),
        migrations.RemoveConstraint(model_name="recipientnotice", name="consent_notice_recipient"),
        migrations.AddConstraint(
            model_name="recipientnotice",
            constraint=models.UniqueConstraint(
                fields=("request_id", "recipient", "destination"), name="consent_notice_recipient"
            ),
        ),
    ]
