"""Deleting what the watch need not know any more."""

from datetime import datetime, timedelta

from django.conf import settings

from ingestion.alert_models import Alert, AlertMute, AlertNotice, EventHour, EventMeter, SourceHour
from ingestion.alerting.episodes import RESOLVED
from ingestion.models import Discovered
from ingestion.queries.watch import PAST

NOTICE_DAYS = 30


def keep_watch(now: datetime) -> None:
    """Delete hours before those that a baseline looks at, old notices, alerts as old as the history of profiles."""
    SourceHour.objects.filter(hour__lt=now - PAST).delete()
    EventHour.objects.filter(hour__lt=now - PAST).delete()
    EventMeter.objects.exclude(discovered_id__in=Discovered.objects.values("pk")).delete()
    AlertMute.objects.filter(until__lt=now).delete()
    AlertNotice.objects.filter(created_at__lt=now - timedelta(days=NOTICE_DAYS)).delete()
    Alert.objects.filter(state=RESOLVED, resolved_at__lt=now - timedelta(days=settings.CDP_CHANGE_DAYS)).delete()
