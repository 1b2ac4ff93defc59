"""The installation's secrets."""

import stat
from pathlib import Path

import pytest

from cdp.embedded import EmbeddedError, ensure_keys


def test_makes_private_keys_once(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path, env={})
    assert ensure_keys(tmp_path, env={}) == first
    assert len({first.secret_key, first.suppression_key, first.signing_key, first.master_key}) == 4
    keys = tmp_path / "keys"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [keys, *keys.iterdir()]}
    names = ("secret_key", "suppression_key", "signing_key", "master_key")
    assert modes == {"keys": 0o700} | dict.fromkeys(names, 0o600)


def test_takes_keys_from_the_environment_without_touching_the_disk(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "none", env={"CDP_SECRET_KEY": "a", "CDP_SUPPRESSION_KEY": "b"})
    assert (keys.secret_key, keys.suppression_key) == ("a", "b")
    assert not (tmp_path / "none").exists()


def test_shows_no_key_in_its_text(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path, env={})
    assert keys.secret_key not in repr(keys)


def test_refuses_an_empty_key_file_instead_of_replacing_it(tmp_path: Path) -> None:
    ensure_keys(tmp_path, env={})
    (tmp_path / "keys" / "suppression_key").write_text("")
    with pytest.raises(EmbeddedError, match=r"suppression_key is empty\. Put the key back"):
        ensure_keys(tmp_path, env={})
