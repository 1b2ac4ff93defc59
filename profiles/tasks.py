"""Tasks of profiles: each calls one service."""

from celery import shared_task
from django.utils import timezone

from profiles.services.matching_work import work_matching


@shared_task(name="profiles.match")
def match() -> None:
    """Do what fuzzy matching waits for."""
    work_matching(clock=timezone.now)
