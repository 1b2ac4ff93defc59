"""Starting, sharing, surviving and stopping the embedded servers, with the real programs."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
import redis

from cdp.embedded import EmbeddedError, Servers, ensure_servers, release_servers, servers_running, stop_servers
from cdp.embedded.layout import REPOSITORY, Layout
from cdp.embedded.processes import is_alive, processes_in

USE = (
    "import sys; from pathlib import Path; from cdp.embedded import ensure_servers;"
    "ensure_servers(Path(sys.argv[1]), env={}, profile='tests'); print('ready', flush=True); sys.stdin.read()"
)


def start(data_dir: Path) -> Servers:
    return ensure_servers(data_dir, env={}, profile="tests")


def ask(servers: Servers, statement: str) -> object:
    with closing(psycopg2.connect(servers.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else None


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


@contextmanager
def another_user(data_dir: Path) -> Generator[subprocess.Popen[str], None, None]:
    command = [sys.executable, "-c", USE, str(data_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_starts_both_servers_and_leaves_nothing_running(data_dir: Path) -> None:
    servers = start(data_dir)
    assert ask(servers, "SELECT datlocale FROM pg_database WHERE datname = 'cdp'") == "C.UTF-8"
    with closing(redis.Redis(unix_socket_path=str(Layout(root=data_dir).valkey_socket))) as broker:
        assert broker.ping()
    assert servers_running(data_dir)
    assert release_servers(data_dir)
    assert not servers_running(data_dir)
    assert processes_in((data_dir / "postgres").resolve()) == []
    assert not Layout(root=data_dir).sockets.exists()


def test_lets_nobody_in_without_the_password_or_over_the_network(data_dir: Path) -> None:
    servers = start(data_dir)
    assert ask(servers, "SHOW listen_addresses") == ""
    with pytest.raises(psycopg2.OperationalError, match="no password supplied"):
        psycopg2.connect(dbname="cdp", user="cdp", host=str(Layout(root=data_dir).sockets), passfile="/dev/null")
    assert stat.S_IMODE((data_dir / "keys" / "postgres_password").stat().st_mode) == 0o600
    assert stat.S_IMODE(Layout(root=data_dir).sockets.stat().st_mode) == 0o700


def test_never_logs_a_value(data_dir: Path) -> None:
    servers = start(data_dir)
    with pytest.raises(psycopg2.Error):
        ask(servers, "SELECT 'eve@example.org'::integer")
    ask(servers, "DO $$ BEGIN RAISE WARNING 'mallory@example.org'; END $$")
    assert "example.org" not in (data_dir / "logs" / "postgres.log").read_text()


def test_takes_servers_of_the_callers_own(tmp_path: Path) -> None:
    env = {"CDP_DATABASE_URL": "postgresql://db/cdp", "CDP_BROKER_URL": "redis://broker"}
    servers = ensure_servers(tmp_path / "none", env=env)
    assert servers == Servers(database_url="postgresql://db/cdp", broker_url="redis://broker")
    assert not (tmp_path / "none").exists()


def test_shares_running_servers_and_stops_them_with_the_last_user(data_dir: Path) -> None:
    start(data_dir)
    first = postmaster(data_dir)
    with another_user(data_dir):
        assert postmaster(data_dir) == first
        assert not release_servers(data_dir)
        assert servers_running(data_dir)
    # The other was killed without a chance to say goodbye.
    assert wait_for(lambda: not is_alive(first))


def test_starts_once_for_users_who_come_at_the_same_time(data_dir: Path) -> None:
    command = [sys.executable, "-c", USE, str(data_dir)]
    users = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(3)
    ]
    # The first to finish must not take the servers from the others; each closes its input only when all are ready.
    said = [user.stdout.readline() if user.stdout else "" for user in users]
    for user in users:
        user.communicate(timeout=60)
    assert said == ["ready\n"] * 3
    assert [user.returncode for user in users] == [0] * 3
    assert not servers_running(data_dir)


def test_runs_side_by_side_with_another_installation(make_data_dir: Callable[[], Path]) -> None:
    first, second = start(make_data_dir()), start(make_data_dir())
    ask(first, "CREATE TABLE only_here (id int)")
    assert ask(second, "SELECT to_regclass('only_here')") is None


def test_starts_a_killed_server_again(data_dir: Path) -> None:
    # The safe profile: what was committed must be there afterwards.
    servers = ensure_servers(data_dir, env={})
    ask(servers, "CREATE TABLE kept AS SELECT 7 AS number")
    killed = postmaster(data_dir)
    os.kill(killed, signal.SIGKILL)
    assert wait_for(lambda: servers_running(data_dir) and postmaster(data_dir) != killed)
    assert ask(servers, "SELECT number FROM kept") == 7


def test_starts_a_server_again_whose_socket_was_removed(data_dir: Path) -> None:
    servers = start(data_dir)
    first = postmaster(data_dir)
    shutil.rmtree(Layout(root=data_dir).sockets)
    assert wait_for(lambda: servers_running(data_dir) and postmaster(data_dir) != first)
    assert ask(servers, "SELECT 1") == 1


def test_starts_after_everything_was_killed_at_once(data_dir: Path) -> None:
    with another_user(data_dir) as user:
        guard = int(Layout(root=data_dir).guard_lock.read_text())
        killed = postmaster(data_dir)
        for pid in (user.pid, guard, killed):
            os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: not is_alive(guard) and not is_alive(killed))
    assert ask(start(data_dir), "SELECT 1") == 1
    assert postmaster(data_dir) != killed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_ends_the_servers_of_a_killed_guard(data_dir: Path) -> None:
    with another_user(data_dir):
        server = postmaster(data_dir)
        os.kill(int(Layout(root=data_dir).guard_lock.read_text()), signal.SIGKILL)
        assert wait_for(lambda: not is_alive(server))


def test_starts_over_a_lock_whose_number_another_program_has_now(data_dir: Path) -> None:
    start(data_dir)
    release_servers(data_dir)
    lock = data_dir / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{data_dir / 'postgres'}\n1\n5432\n/tmp\n\n\nready\n")
    assert ask(start(data_dir), "SELECT 1") == 1


def test_says_what_to_do_when_a_server_does_not_start(data_dir: Path) -> None:
    start(data_dir)
    release_servers(data_dir)
    (data_dir / "postgres" / "local.conf").write_text("shared_buffers = '1000TB'\n")
    with pytest.raises(EmbeddedError, match=r"postgres does not start[\s\S]*Its last lines"):
        start(data_dir)
    (data_dir / "postgres" / "local.conf").write_text("")
    assert ask(start(data_dir), "SELECT 1") == 1


def test_refuses_files_of_another_major_version(data_dir: Path) -> None:
    start(data_dir)
    stop_servers(data_dir)
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(EmbeddedError, match="are of PostgreSQL 14"):
        start(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_works_as_root_where_nobody_else_may_enter(make_data_dir: Callable[[], Path]) -> None:
    closed = make_data_dir()
    data_dir = closed / "var"
    try:
        assert ask(start(data_dir), "SELECT 1") == 1
        home = Path((data_dir / "postgres.location").read_text().strip())
        assert (home / "postgres").stat().st_uid != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert release_servers(data_dir)
        assert ask(start(data_dir), "SELECT 1") == 1
    finally:
        stop_servers(data_dir)
        (data_dir / "postgres.location").rename(closed / "postgres.location")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_works_as_root_for_the_owner_of_the_data_directory(data_dir: Path) -> None:
    os.chown(data_dir, 65534, 65534)
    assert ask(start(data_dir), "SELECT 1") == 1
    mine = [path for path in data_dir.rglob("*") if path.stat().st_uid != 65534]
    assert mine == []


def test_reports_its_state_for_those_who_wait(data_dir: Path) -> None:
    start(data_dir)
    state = json.loads(Layout(root=data_dir).guard_state.read_text())
    assert state["state"] == "ready"
    assert state["pid"] == int(Layout(root=data_dir).guard_lock.read_text())
