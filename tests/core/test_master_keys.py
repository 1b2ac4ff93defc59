"""Master keys and what is sealed under them."""

import sys

import pytest
from cryptography.exceptions import InvalidTag

from cdp.core import master_keys
from cdp.core.master_keys import MasterKeyUnavailable
from cdp.core.secrets import seal, unseal

OLD, NEW = "o" * 50, "n" * 50


def test_opens_only_with_the_same_use(settings):
    settings.CDP_MASTER_KEY = OLD
    sealed = seal(b"secret", context="write key")
    assert b"secret" not in sealed
    assert unseal(sealed, context="write key") == b"secret"
    with pytest.raises(InvalidTag):
        unseal(sealed, context="webhook")


def test_a_retired_key_opens_and_the_current_one_seals(settings):
    settings.CDP_MASTER_KEY = OLD
    sealed = seal(b"secret", context="x")
    settings.CDP_MASTER_KEY = NEW
    with pytest.raises(MasterKeyUnavailable):
        unseal(sealed, context="x")
    settings.CDP_MASTER_KEYS_RETIRED = [OLD]
    assert unseal(sealed, context="x") == b"secret"
    again = seal(b"secret", context="x")
    settings.CDP_MASTER_KEYS_RETIRED = []
    assert unseal(again, context="x") == b"secret"


def test_opens_what_was_sealed_before_there_were_master_keys(settings):
    settings.SECRET_KEY = "s" * 50
    settings.CDP_MASTER_KEY = ""
    sealed = seal(b"secret", context="x")
    settings.CDP_MASTER_KEY = NEW
    assert unseal(sealed, context="x") == b"secret"
    # Made by release 0.1.0 under this secret key.
    early = "0180585f097c1686fb369143807f5d8444db9063d80abfa0328a46e332c52c"
    assert unseal(bytes.fromhex(early), context="write key") == b"wk"


def test_asks_a_command_for_the_keys(settings, tmp_path):
    script = tmp_path / "kms.py"
    script.write_text(f"print('{NEW}')\nprint('{OLD}')\n")
    settings.CDP_MASTER_KEY = OLD
    sealed = seal(b"secret", context="x")
    settings.CDP_MASTER_KEY = ""
    settings.CDP_MASTER_KEY_COMMAND = f"{sys.executable} {script}"
    assert unseal(sealed, context="x") == b"secret"
    assert seal(b"", context="x")[3:7] != sealed[3:7]


@pytest.mark.parametrize("program", ["print('short')", "raise SystemExit(1)", ""])
def test_says_so_when_the_command_gives_no_key(settings, tmp_path, program):
    script = tmp_path / "kms.py"
    script.write_text(program)
    settings.CDP_MASTER_KEY_COMMAND = f"{sys.executable} {script}"
    with pytest.raises(MasterKeyUnavailable, match="CDP_MASTER_KEY_COMMAND"):
        seal(b"secret", context="x")


def test_shows_no_secret(settings):
    settings.CDP_MASTER_KEY = OLD
    assert OLD not in repr(master_keys.current_master_key())
