"""Bodies are stored as they came: where PostgreSQL has no LZ4, compressing one takes longer than all else about it."""

from django.db import migrations

PLAIN = """
ALTER TABLE ingestion_inbox ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE ingestion_archive ALTER COLUMN body SET STORAGE EXTERNAL;
"""
BACK = """
ALTER TABLE ingestion_inbox ALTER COLUMN body SET STORAGE EXTENDED;
ALTER TABLE ingestion_archive ALTER COLUMN body SET STORAGE EXTENDED;
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0004_replays")]

    operations = [migrations.RunSQL(PLAIN, BACK)]
