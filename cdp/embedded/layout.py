"""Where everything of one installation lies on disk."""

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdp.embedded.errors import DataDirectoryUnusable

REPOSITORY = Path(__file__).resolve().parents[2]

# Sockets lie here and not in the data directory: their path may have 104 bytes (macOS) or 108 (Linux) at
# most, and not every file system that holds data can hold a socket. Not $TMPDIR or $XDG_RUNTIME_DIR either:
# these differ between two sessions of one user, who would then not find each other's servers.
SOCKETS = Path("/tmp")  # noqa: S108 - the directory below is 0700 and its owner is checked

# What the product itself keeps there, made here so that all of it is private. `static` is filled in
# production only, but whoever serves files wants it to be there.
_PRODUCT_FOLDERS = ("files", "outbox", "static")


def data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Find the data directory of this installation: ``CDP_DATA_DIR``, or ``var/`` beside the code.

    Parameters
    ----------
    env : mapping
        Environment variables; a relative ``CDP_DATA_DIR`` counts from the working directory.

    Returns
    -------
    Path
        Absolute, links resolved; it need not exist yet.
    """
    return Path(env.get("CDP_DATA_DIR") or REPOSITORY / "var").expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths inside one data directory."""

    root: Path

    @property
    def keys(self) -> Path:
        """Secrets: one file each, 0600; in no backup."""
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        """What the servers and their guard say."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Locks and the state of running processes; worthless once nothing runs."""
        return self.root / "run"

    @property
    def sockets(self) -> Path:
        """The 0700 directory of both Unix sockets, the same for all who name this data directory."""
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return SOCKETS / f"cdp-{digest}"

    @property
    def postgres_socket(self) -> Path:
        """PostgreSQL's Unix socket, named after the port that it would have."""
        return self.sockets / ".s.PGSQL.5432"

    @property
    def valkey_socket(self) -> Path:
        """Valkey's Unix socket."""
        return self.sockets / "valkey.sock"

    @property
    def users_lock(self) -> Path:
        """Held shared by every process that uses the servers."""
        return self.run / "users.lock"

    @property
    def guard_lock(self) -> Path:
        """Held exclusively by the guard; its text is the guard's process id."""
        return self.run / "guard.lock"

    @property
    def start_lock(self) -> Path:
        """Held while somebody starts the guard, so that two do not."""
        return self.run / "start.lock"

    @property
    def product_lock(self) -> Path:
        """Held exclusively by `make up`; its text says where it listens."""
        return self.run / "product.lock"

    @property
    def guard_state(self) -> Path:
        """What the guard reports: starting, ready, stopping or failed."""
        return self.run / "guard.json"

    @property
    def children(self) -> Path:
        """Process groups that `make up` started, for the next start to clear away after a kill -9."""
        return self.run / "children.json"


def prepare_layout(data_dir: Path) -> Layout:
    """Make the data directory and its private folders.

    Raises
    ------
    DataDirectoryUnusable
        Where the directory cannot be made or written, with what to do about it.
    """
    layout = Layout(root=data_dir)
    try:
        # Its folders are private; the directory itself may have to be entered by the account of the servers.
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (layout.run, layout.logs, layout.keys, *(data_dir / name for name in _PRODUCT_FOLDERS)):
            folder.mkdir(mode=0o700, exist_ok=True)
            give_to_owner(folder, data_dir)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise DataDirectoryUnusable(_unusable(data_dir, error)) from error
    return layout


def remove_sockets(layout: Layout) -> None:
    """Remove the directory of the sockets, once no server listens there any more."""
    shutil.rmtree(layout.sockets, ignore_errors=True)


def give_to_owner(path: Path, data_dir: Path) -> None:
    """Give what root made in somebody's data directory to that somebody, who goes on without root."""
    if os.geteuid() == 0:
        owner = data_dir.stat()
        if owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _unusable(data_dir: Path, error: OSError) -> str:
    where = error.filename or data_dir
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk that holds the data directory {data_dir} is full. Free space there, or choose another "
            "directory by CDP_DATA_DIR, then run the command again."
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{where} is a file, not a directory. Move it away, or choose another directory by CDP_DATA_DIR."
    return (
        f"The data directory {data_dir} cannot be written ({where}: {error.strerror}). Make it writable for "
        "the user "
        f'who runs this (sudo chown -R "$(id -u)" {data_dir}), or choose another directory: '
        "CDP_DATA_DIR=~/cdp-data"
    )
