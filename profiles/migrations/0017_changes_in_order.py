"""What follows the history of profiles finds the last changes without reading those of two days.

Changes are appended in the order of their ids, so a summary per few pages tells where they lie: it costs writers nothing
that could be measured, where a tree of millions of ids would.
"""

from django.db import migrations

FORWARD = """
CREATE INDEX profiles_change_in_order ON profiles_change USING brin (id) WITH (pages_per_range = 16, autosummarize = on)
"""


class Migration(migrations.Migration):
    dependencies = [("profiles", "0016_matching_engine")]

    operations = [migrations.RunSQL(FORWARD, "DROP INDEX profiles_change_in_order")]
