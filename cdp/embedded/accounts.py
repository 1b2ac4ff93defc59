"""As root: who the servers run as, and where that account can reach its programs and its data.

PostgreSQL refuses to run as root. The account may be shut out of the clone or the data directory (`/root` is
0700); then its files go where it can reach them, because no mode or owner outside the data directory is ever
changed.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdp.embedded.errors import DataDirectoryUnusable

_NAMES = ("postgres", "_postgres", "nobody")
_ELSEWHERE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - mkdtemp, and root owns what it makes


@dataclass(frozen=True, slots=True)
class Account:
    """A system user that servers run as."""

    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Name the arguments of `subprocess` that start a program as this account, with nothing of ours."""
        mine = {"cwd": "/", "env": _environment(), "umask": 0o077}
        if os.geteuid() != 0:
            return mine
        return mine | {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Hand a file or directory to this account."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, directory: Path) -> bool:
        """Tell whether this account can enter a directory, parents included."""
        found = subprocess.run(
            ["/bin/sh", "-c", 'test -d "$1" && test -x "$1"', "sh", str(directory)],
            check=False,
            **self.popen_arguments(),
        )
        return found.returncode == 0


def choose_account(data_dir: Path, *, cluster: Path) -> Account:
    """Choose who the servers run as.

    Returns
    -------
    Account
        Ourselves, unless we are root: then the owner of an existing cluster, else the owner of the data
        directory, else (root owns it) an unprivileged user that the system already has.

    Raises
    ------
    DataDirectoryUnusable
        Where an existing cluster belongs to somebody else, or the system has no unprivileged user.
    """
    me = os.geteuid()
    if cluster.exists():
        owner = cluster.stat()
        if me not in (0, owner.st_uid):
            raise DataDirectoryUnusable(
                f"The database files in {cluster} belong to user number {owner.st_uid}. Run this as that "
                "user or as "
                "root, or choose another directory by CDP_DATA_DIR."
            )
        if owner.st_uid != 0:
            return Account(uid=owner.st_uid, gid=owner.st_gid)
    if me != 0:
        return Account(uid=me, gid=os.getegid())
    owner = data_dir.stat()
    if owner.st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    for name in _NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise DataDirectoryUnusable(
        "PostgreSQL does not run as root and this system has no user `postgres` or `nobody`. "
        f"Give the data directory to an ordinary user: chown USER {data_dir}"
    )


def find_home(data_dir: Path) -> Path:
    """Find where the servers' files lie: the data directory, or the place that its pointer file names."""
    pointer = _pointer(data_dir)
    return Path(pointer.read_text(encoding="utf-8").strip()) if pointer.exists() else data_dir


def ensure_home(data_dir: Path, *, account: Account) -> Path:
    """Find or make a place for the servers' files that their account can reach."""
    home = find_home(data_dir)
    if home != data_dir or account.can_enter(home):
        return home
    if os.geteuid() == 0:
        mode = data_dir.stat().st_mode & 0o7777
        data_dir.chmod(mode | 0o011)
        if account.can_enter(data_dir):
            return data_dir
        data_dir.chmod(mode)
        for place in _ELSEWHERE:
            if os.access(place, os.W_OK) and account.can_enter(place):
                home = Path(tempfile.mkdtemp(prefix="cdp-", dir=place))
                home.chmod(0o711)
                _pointer(data_dir).write_text(f"{home}\n", encoding="utf-8")
                return home
    raise DataDirectoryUnusable(
        f"The database server runs as user number {account.uid}, who cannot enter {data_dir}. Choose a "
        "directory that "
        "this user can reach: CDP_DATA_DIR=/var/lib/cdp make up"
    )


def ensure_programs(programs: Path, *, version: str, account: Account, home: Path) -> Path:
    """Find a server's programs, copied to its home where the account cannot reach the virtual environment.

    Parameters
    ----------
    programs : Path
        Directory of the programs and all they load.
    version : str
        Names the copy, so that an update of the package makes a new one.
    """
    if account.can_enter(programs):
        return programs
    copy = home / "programs" / version
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, exist_ok=True)
        copy.parent.chmod(0o755)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=copy.parent))
        for part in [programs, *programs.parent.glob(f"{programs.name}.libs")]:
            shutil.copytree(part, draft / part.name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            # The virtual environment may have been made under umask 077.
            if not path.is_symlink():
                mode = path.stat().st_mode & 0o7777
                path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
        draft.rename(copy)
    return copy / programs.name


def _pointer(data_dir: Path) -> Path:
    return data_dir / "postgres.location"


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}
