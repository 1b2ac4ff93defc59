"""Tasks of the kernel: each calls one service."""

from celery import shared_task

from cdp.core.services import housekeeping, jobs, mail, sealing


@shared_task(name="core.seal_audit")
def seal_audit() -> None:
    """Seal the audit trail."""
    sealing.seal_audit()


@shared_task(name="core.run_jobs")
def run_jobs() -> None:
    """Run due jobs."""
    jobs.run_jobs()


@shared_task(name="core.send_mail")
def send_mail() -> None:
    """Send due mails."""
    mail.send_mail()


@shared_task(name="core.keep_house")
def keep_house() -> None:
    """Do what has to be done each hour."""
    housekeeping.keep_house()
