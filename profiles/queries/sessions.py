"""What tells sessions (`$session`) apart."""

from datetime import timedelta

from django.conf import settings


def session_gap() -> timedelta:
    """Return the silence that ends a session."""
    return timedelta(minutes=settings.CDP_SESSION_MINUTES)
