"""Which fields are missing more than usual: shares of the last hour beside those of the days before."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ingestion.alerting.detect import NORMALLY_THERE, Usual

PAST_DAYS = 7
FEWEST_OF_HOUR = 10
# The distance of the quartiles of normal values, in standard deviations.
QUARTILES_TO_DEVIATION = 1.349
# A field that is missing altogether has no row of its own in the hour: those of the event are what counts. Hours older
# than two days are folded into days, which are shares like others.
SHARES = """
WITH events AS (
    SELECT source_id, type, event, hour, messages FROM ingestion_qualitycount
    WHERE field = '' AND hour >= %(since)s AND hour <= %(hour)s AND messages >= %(fewest)s
), named AS (
    SELECT DISTINCT q.source_id, q.type, q.event, q.field FROM ingestion_qualitycount q
    JOIN events e ON (e.source_id, e.type, e.event) = (q.source_id, q.type, q.event) AND e.hour = %(hour)s
    WHERE q.field <> '' AND q.hour >= %(since)s AND q.hour < %(hour)s
), shares AS (
    SELECT n.source_id, n.type, n.event, n.field, e.hour, e.messages,
        least(coalesce(q.texts + q.numbers + q.booleans + q.lists + q.maps, 0), e.messages) AS present
    FROM named n JOIN events e ON (e.source_id, e.type, e.event) = (n.source_id, n.type, n.event)
    LEFT JOIN ingestion_qualitycount q ON (q.source_id, q.hour, q.type, q.event, q.field) =
        (n.source_id, e.hour, n.type, n.event, n.field)
), usual AS (
    SELECT source_id, type, event, field, count(*) AS hours,
        percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY 1 - present::float / messages) AS quartiles
    FROM shares WHERE hour < %(hour)s GROUP BY 1, 2, 3, 4
)
SELECT s.source_id, s.type, s.event, s.field, s.present, s.messages, u.hours, u.quartiles
FROM shares s JOIN usual u USING (source_id, type, event, field)
WHERE s.hour = %(hour)s AND u.quartiles[2] <= %(rare)s
"""


@dataclass(frozen=True, slots=True)
class FieldShare:
    """How often a field was there in an hour, and how large a share usually lacks it."""

    source_id: int
    type: str
    event: str
    field: str
    present: int
    looked: int
    usual: Usual


def read_field_shares(*, hour: datetime) -> list[FieldShare]:
    """Return the fields that are normally there, of the events of which enough came in an hour (one statement)."""
    place: dict[str, Any] = {
        "hour": hour,
        "since": hour - timedelta(days=PAST_DAYS),
        "fewest": FEWEST_OF_HOUR,
        "rare": 1 - NORMALLY_THERE,
    }
    with connection.cursor() as cursor:
        cursor.execute(SHARES, place)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    found = []
    for source_id, kind, event, field, present, looked, hours, (low, middle, high) in rows:
        usual = Usual(middle, (high - low) / QUARTILES_TO_DEVIATION, hours)
        found.append(FieldShare(source_id, kind, event, field, present, looked, usual))
    return found
