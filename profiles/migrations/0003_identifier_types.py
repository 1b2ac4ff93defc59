"""Give a new installation its identifier types: priority, values per profile, and what is never an identifier."""

from django.db import migrations

BLOCKED = [
    "0", "000-000", "-1", "null", "none", "nil", "nan", "anonymous", "undefined", "n/a", "[object object]", "true", "false", "00000000-0000-0000-0000-000000000000",
]  # fmt: skip

TYPES = [
    ("user_id", "User id", 1, 1, None),
    ("email", "E-mail address", 2, 5, 5),
    ("phone", "Phone number", 3, 5, 10),
    ("loyalty_id", "Loyalty card", 4, 5, None),
    ("ios.id", "iOS device", 5, 5, 50),
    ("android.id", "Android device", 5, 5, 50),
    ("device_id", "Device", 5, 5, 50),
    ("anonymous_id", "Anonymous id", 6, 100, 10),
    ("record_id", "Imported record", 9, None, None),
]


def add(apps, schema_editor):
    types = apps.get_model("profiles", "IdentifierType")
    types.objects.bulk_create(
        types(key=key, name=name, priority=priority, value_limit=limit, sharing_limit=sharing, blocked_values=BLOCKED)
        for key, name, priority, limit, sharing in TYPES
    )
    apps.get_model("profiles", "IdentitySettings").objects.create(id=1, version=1)


def remove(apps, schema_editor):
    apps.get_model("profiles", "IdentifierType").objects.all().delete()
    apps.get_model("profiles", "IdentitySettings").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("profiles", "0002_partitions")]

    operations = [migrations.RunPython(add, remove)]
