"""Celery. The broker only carries wake-ups; rows own all progress."""

from cdp.settings.stores import CDP_BROKER_URL

CELERY_BROKER_URL = CDP_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "ingestion.process_inbox": {"queue": "ingest"},
    # Waits for servers of others, so nothing of this house waits behind it.
    "consent.send_callbacks": {"queue": "outgoing"},
    "consent.tell_recipients": {"queue": "outgoing"},
    "consent.*": {"queue": "privacy"},
    # Waits for servers of others, so nothing of this house waits behind it.
    "ingestion.forward_copies": {"queue": "outgoing"},
    "segments.send_deliveries": {"queue": "outgoing"},
    "consent.send_webhooks": {"queue": "outgoing"},
    # One process holds the learners; trainings and runs take minutes, and memory that is given back when they are over.
    "profiles.match": {"queue": "matching"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600, "socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_PUBLISH_RETRY = False
# Tasks keep the connection of their process (`cdp.celery.keep_connection`); a fresh one now and then frees memory.
CELERY_DB_REUSE_MAX = 10_000
CELERY_TIMEZONE = "UTC"
# Sweeps make wake-ups optional: a flushed broker loses nothing. `expires` keeps a backlog of sweeps from piling up.
CELERY_BEAT_SCHEDULE = {
    "process-inbox": {"task": "ingestion.process_inbox", "schedule": 1.0, "options": {"expires": 2}},
    "release-held": {"task": "ingestion.release_held", "schedule": 5.0, "options": {"expires": 5}},
    "forward-copies": {"task": "ingestion.forward_copies", "schedule": 1.0, "options": {"expires": 2}},
    "send-consent-webhooks": {"task": "consent.send_webhooks", "schedule": 1.0, "options": {"expires": 2}},
    "follow-changes": {"task": "segments.follow_changes", "schedule": 1.0, "options": {"expires": 2}},
    "run-due-checks": {"task": "segments.run_due_checks", "schedule": 1.0, "options": {"expires": 2}},
    "send-deliveries": {"task": "segments.send_deliveries", "schedule": 1.0, "options": {"expires": 2}},
    "reconcile-destinations": {
        "task": "segments.reconcile_destinations",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "make-due-exports": {"task": "segments.make_due_exports", "schedule": 15.0, "options": {"expires": 15}},
    "seal-audit": {"task": "core.seal_audit", "schedule": 1.0, "options": {"expires": 2}},
    "run-jobs": {"task": "core.run_jobs", "schedule": 1.0, "options": {"expires": 2}},
    "send-mail": {"task": "core.send_mail", "schedule": 2.0, "options": {"expires": 4}},
    "send-callbacks": {"task": "consent.send_callbacks", "schedule": 2.0, "options": {"expires": 4}},
    "run-privacy-requests": {"task": "consent.run_privacy_requests", "schedule": 2.0, "options": {"expires": 4}},
    "tell-recipients": {"task": "consent.tell_recipients", "schedule": 5.0, "options": {"expires": 10}},
    "measure-quality": {"task": "ingestion.measure_quality", "schedule": 300.0, "options": {"expires": 120}},
    "check-sources": {"task": "ingestion.check_sources", "schedule": 180.0, "options": {"expires": 120}},
    "match": {"task": "profiles.match", "schedule": 2.0, "options": {"expires": 3}},
    "keep-house": {"task": "core.keep_house", "schedule": 3600.0, "options": {"expires": 600}},
}
