"""Counting what plans and cleaning find: exactly, in the transaction that decides about the messages."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from cdp.core.copying import copy_rows, escape, stamp
from ingestion.models import Finding, Outcome
from ingestion.services.screen import Screened
from ingestion.treatment.shapes import safe_name

KEPT_DAYS = 90
COLUMNS = "source_id, hour, type, event, path, rule, action, count"
COMPACT = """
WITH many AS (
    SELECT source_id, hour, type, event, path, rule, action FROM ingestion_finding WHERE hour < %(hour)s
    GROUP BY source_id, hour, type, event, path, rule, action HAVING count(*) > 1
), gone AS (
    DELETE FROM ingestion_finding f USING many m
    WHERE (f.source_id, f.hour, f.type, f.event, f.path, f.rule, f.action)
        = (m.source_id, m.hour, m.type, m.event, m.path, m.rule, m.action)
    RETURNING f.source_id, f.hour, f.type, f.event, f.path, f.rule, f.action, f.count
)
INSERT INTO ingestion_finding (source_id, hour, type, event, path, rule, action, count)
SELECT source_id, hour, type, event, path, rule, action, sum(count) FROM gone
GROUP BY source_id, hour, type, event, path, rule, action
"""
NOT_COUNTED = {Outcome.DUPLICATE, Outcome.SUPPRESSED, Outcome.HELD}


def count_findings(cursor: Any, screened: Screened) -> None:
    """Count the findings of a batch: per source, hour, event, place and rule; copies and suppressed messages do not."""
    found = [
        (item, item.treated)
        for item, outcome in screened.outcomes
        if item.treated is not None and outcome not in NOT_COUNTED
    ]
    if not found:
        return
    counts = Counter(
        (
            item.request.source.id,
            item.request.received_at.replace(minute=0, second=0, microsecond=0),
            treated.kind,
            safe_name(treated.event) if treated.event else "",
            finding.path,
            finding.rule,
            finding.action,
        )
        for item, treated in found
        for finding in treated.findings
    )
    copy_rows(
        cursor,
        "ingestion_finding",
        COLUMNS,
        [
            f"{source}\t{stamp(hour)}\t{kind}\t{escape(event)}\t{escape(path)}\t{rule}\t{action}\t{count}\n"
            for (source, hour, kind, event, path, rule, action), count in counts.items()
        ],
    )


def keep_findings(now: datetime) -> None:
    """Fold the rows of hours that have ended, and delete those that nobody looks at any more."""
    Finding.objects.filter(hour__lt=now - timedelta(days=KEPT_DAYS)).delete()
    with connection.cursor() as cursor:
        cursor.execute(COMPACT, {"hour": now.replace(minute=0, second=0, microsecond=0)})
