"""Next checks are kept by segment, as memberships are: computing a segment anew reads and compares its own only."""

from django.db import migrations, models

BY_SEGMENT = """
ALTER TABLE segments_nextcheck DROP CONSTRAINT segments_nextcheck_pkey,
    ADD CONSTRAINT segments_nextcheck_pkey PRIMARY KEY (segment_id, profile_id)
"""
BY_PROFILE = """
ALTER TABLE segments_nextcheck DROP CONSTRAINT segments_nextcheck_pkey,
    ADD CONSTRAINT segments_nextcheck_pkey PRIMARY KEY (profile_id, segment_id)
"""


class Migration(migrations.Migration):
    dependencies = [("segments", "0011_read_instants_faster")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(BY_SEGMENT, BY_PROFILE)],
            [
                migrations.AlterField(
                    "NextCheck",
                    "pk",
                    models.CompositePrimaryKey(
                        "segment_id", "profile_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                )
            ],
        )
    ]
