"""The Celery application. Tasks load, call one service and return; rows in the database own all progress."""

import os
import sys

from celery import Celery
from celery.signals import task_prerun, worker_init
from django.db import close_old_connections, connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

app = Celery("cdp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def check_start(**_: object) -> None:
    """Keep a worker from starting while people who were erased may be in the database."""
    # Models are loaded by now; this module is imported before them.
    from cdp.core.errors import CdpError  # noqa: PLC0415
    from cdp.core.services import starting  # noqa: PLC0415

    try:
        starting.refuse_unfinished_restore()
        starting.check_start(act=False)
    except CdpError as error:
        sys.stderr.write(f"{error.message}\n")
        # Celery catches errors of its signals' receivers, but not this.
        raise SystemExit(1) from error
    finally:
        # Child processes make connections of their own.
        connection.close()


@task_prerun.connect
def keep_connection(**_: object) -> None:
    """Let a task go on with its process's connection, after a look whether it lives.

    Celery itself would open a new one for each task. Signing in takes both sides some 10 ms of work, and there are
    some 20 tasks a second.
    """
    close_old_connections()
