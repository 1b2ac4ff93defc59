"""The installation's secrets."""

import stat
from pathlib import Path

from cdp.embedded import ensure_keys


def test_makes_private_keys_once(tmp_path: Path) -> None:
    first = ensure_keys(tmp_path, env={})
    assert ensure_keys(tmp_path, env={}) == first
    assert first.secret_key != first.suppression_key
    keys = tmp_path / "keys"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [keys, *keys.iterdir()]}
    assert modes == {"keys": 0o700, "secret_key": 0o600, "suppression_key": 0o600}
