"""The installation's secrets: made on the first run, kept outside the database and in no backup."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdp.embedded.errors import DataDirectoryUnusable
from cdp.embedded.layout import give_to_owner, prepare_layout


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs sessions, what suppression digests are keyed with, what signs documents, and what encrypts.

    An empty signing key is derived from the suppression key (`cdp.core.signing`), an empty master key from the secret
    key (`cdp.core.master_keys`).
    """

    secret_key: str
    suppression_key: str
    signing_key: str
    master_key: str

    def __repr__(self) -> str:
        """Never show a secret in a log or a traceback."""
        return "Keys(…)"


def ensure_keys(data_dir: Path, *, env: Mapping[str, str] = os.environ) -> Keys:
    """Read the keys of this installation, made where missing.

    Parameters
    ----------
    data_dir : Path
        The keys lie in ``keys/`` below it, mode 0600.
    env : mapping
        ``CDP_SECRET_KEY``, ``CDP_SUPPRESSION_KEY``, ``CDP_SIGNING_KEY`` and ``CDP_MASTER_KEY`` win over the files; with
        the first two set no file is touched.

    Raises
    ------
    DataDirectoryUnusable
        Where a key can be neither read nor made.
    """
    secret_key, suppression_key = env.get("CDP_SECRET_KEY", ""), env.get("CDP_SUPPRESSION_KEY", "")
    signing_key, master_key = env.get("CDP_SIGNING_KEY", ""), env.get("CDP_MASTER_KEY", "")
    if not (secret_key and suppression_key):
        signing_key = signing_key or ensure_secret(data_dir, name="signing_key")
        if not master_key and not env.get("CDP_MASTER_KEY_COMMAND"):
            master_key = ensure_secret(data_dir, name="master_key")
    return Keys(
        secret_key=secret_key or ensure_secret(data_dir, name="secret_key"),
        suppression_key=suppression_key or ensure_secret(data_dir, name="suppression_key"),
        signing_key=signing_key,
        master_key=master_key,
    )


def ensure_secret(data_dir: Path, *, name: str) -> str:
    """Read one secret of 48 random bytes (URL-safe text), made where missing; two processes agree on one."""
    path = prepare_layout(data_dir).keys / name
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48), data_dir)
        secret = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DataDirectoryUnusable(
            f"The key file {path} cannot be read or written ({error.strerror}). Run this as the user who "
            "owns it, or as root."
        ) from error
    if not secret:
        raise DataDirectoryUnusable(
            f"The key file {path} is empty. Put the key back from where you keep it; if there never was "
            "data, delete the file."
        )
    return secret


def _write_once(path: Path, secret: str, data_dir: Path) -> None:
    # Written aside and linked into place: a reader never sees half a key, and the first writer wins.
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, f"{secret}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    give_to_owner(draft, data_dir)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
