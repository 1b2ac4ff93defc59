"""The Celery application. Tasks load, call one service and return; rows in the database own all progress."""

import os

from celery import Celery
from celery.signals import task_prerun
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

app = Celery("cdp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def keep_connection(**_: object) -> None:
    """Let a task go on with its process's connection, after a look whether it lives.

    Celery itself would open a new one for each task. Signing in takes both sides some 10 ms of work, and there are
    some 20 tasks a second.
    """
    close_old_connections()
