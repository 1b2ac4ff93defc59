"""Keys of persons are in no backup: a restore brings back what is encrypted, but not of who was erased since."""

import pytest
from django.core.management import call_command
from django.db import connection

from cdp.core.services.sealing import seal_audit
from profiles.models import Identifier
from profiles.sealed_models import PersonKey
from profiles.services.kept_keys import NAME, bring_keys_back, forget_keys, keep_keys
from profiles.services.sealing_stored import seal_trait
from tests.profiles.sending import NOW, identify, send
from tests.world import api

pytestmark = pytest.mark.usefixtures("committed", "own_directory")


@pytest.fixture
def own_directory(settings, tmp_path, committed):
    """Give the installation a data directory and a ledger of its own, and an encrypted trait."""
    settings.CDP_DATA_DIR = tmp_path / "data"
    settings.CDP_LEDGER_DIR = tmp_path / "ledger"
    seal_trait(name="diagnosis", actor="user:1", now=NOW)
    send(identify("u1", diagnosis="of the first"), identify("u2", diagnosis="of the second"))
    return tmp_path


def read(user: str):
    profile = Identifier.objects.get(type__key="user_id", value=user).profile
    shown = api("profiles:read", "personal_data:read").get(f"/api/v1/profiles/{profile.uuid}").json()
    return shown["traits"]["diagnosis"]["value"]


def key_of(user: str) -> PersonKey:
    return PersonKey.objects.get(pk=Identifier.objects.get(type__key="user_id", value=user).pk)


def test_a_restore_reads_what_is_encrypted_with_the_keys_that_are_left(tmp_path):
    backup = tmp_path / "one.cdpbackup"
    call_command("backup", str(backup))
    # As an erasure does; the rest of it is not of interest here.
    gone = key_of("u1")
    forget_keys([gone.pk])
    gone.delete()
    seal_audit(wait=True)
    call_command("restore", str(backup))
    assert (read("u1"), read("u2")) == (None, "of the second")


def test_a_new_machine_reads_the_keys_from_the_file(tmp_path, settings):
    wrapped = bytes(key_of("u2").wrapped)
    assert keep_keys() == 2
    PersonKey.objects.all().delete()
    assert bring_keys_back() == 2
    assert bytes(key_of("u2").wrapped) == wrapped
    file = settings.CDP_LEDGER_DIR / NAME
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_keeps_what_only_it_knows_until_it_is_forgotten():
    keep_keys()
    first = key_of("u1").pk
    PersonKey.objects.all().delete()
    assert keep_keys() == 2
    forget_keys([first])
    assert keep_keys() == 1


def test_no_backup_holds_a_key(tmp_path):
    backup = tmp_path / "one.cdpbackup"
    call_command("backup", str(backup))
    from cdp.core.backup_file import read_members

    names = [member.described.get("name") for member in read_members(backup)]
    assert "profiles_profile" in names
    assert "profiles_personkey" not in names
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('profiles_personkey') IS NOT NULL")
        assert cursor.fetchone()[0]
