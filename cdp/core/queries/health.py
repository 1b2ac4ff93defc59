"""Is the product alive, and is it ready."""

from dataclasses import dataclass, field

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import KombuError

from cdp.celery import app
from cdp.core.registries import readiness_checks

BROKER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """What holds and what does not; `degraded` still serves."""

    ready: bool
    degraded: bool
    checks: dict[str, str] = field(default_factory=dict)


_migrated = False


def database_answers() -> bool:
    """Tell whether the database answers a trivial question."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() is not None
    except DatabaseError:
        return False


def has_all_migrations() -> bool:
    """Tell whether every migration of this version has been applied; a yes is remembered."""
    global _migrated  # noqa: PLW0603 - migrations do not come undone under a running process
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def broker_answers() -> bool:
    """Tell whether the broker takes wake-ups, within a second."""
    try:
        with app.connection_for_write(connect_timeout=BROKER_SECONDS) as broker:
            broker.transport_options = {**broker.transport_options, "socket_timeout": BROKER_SECONDS, "max_retries": 0}
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=BROKER_SECONDS)
            return True
    except (TimeoutError, KombuError, OSError):
        return False


def read_readiness() -> Readiness:
    """Check database, migrations, broker and what is registered.

    Without the broker everything still happens, a second later.
    """
    if not database_answers():
        return Readiness(ready=False, degraded=False, checks={"database": "does not answer"})
    checks = {"database": "ok"}
    try:
        migrated = has_all_migrations()
    except DatabaseError:
        migrated = False
    checks["migrations"] = "ok" if migrated else "not applied; run manage.py migrate"
    broker = broker_answers()
    checks["broker"] = "ok" if broker else "does not answer; work starts at the next sweep instead of at once"
    degraded = not broker
    for check in readiness_checks if migrated else ():
        name, found, well = check()
        checks[name] = found
        degraded = degraded or not well
    return Readiness(ready=migrated, degraded=degraded, checks=checks)
