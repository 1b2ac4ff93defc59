"""What has to be done each hour, whoever registered it."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from cdp.core import registries
from cdp.core.models import Invitation
from cdp.core.services import jobs
from cdp.core.services.sign_in import forget_ended_sessions, forget_secrets_without_factor


def keep_house() -> None:
    """Delete what has expired and run everything in `registries.housekeeping`."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    Invitation.objects.filter(expires_at__lt=now).delete()
    forget_ended_sessions()
    forget_secrets_without_factor()
    jobs.delete_finished_jobs(now)
    for act in registries.housekeeping:
        act(now)
