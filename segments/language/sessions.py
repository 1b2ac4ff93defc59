"""`$session`: what a person did at one source without a longer silence (rule 16).

A session is the tracks, pages and screens of one person at one source, in their order, in which each follows the one
before within less than the gap. It stands at the time, and has the id and the context, of its first event. Identify,
group and alias calls, which servers and imports send at any time, are no visits. Derived when it is asked for: nothing
is stored, so late events, merges, splits and erasure need no care.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from segments.language.person import Event
from segments.language.plan import Plan

SESSION = "$session"
SECOND = timedelta(seconds=1)
# What a builder offers: names with their type of JSON.
PROPERTIES = {
    "duration_seconds": "number",
    "events": "number",
    "source": "string",
    "campaign.name": "string",
    "campaign.source": "string",
    "campaign.medium": "string",
}
CAMPAIGN = "campaign"
# track, page and screen, as `profiles_event.type` numbers them.
ACTIVE_TYPES = (1, 3, 4)


def derive_sessions(events: Iterable[Event], gap: timedelta) -> list[Event]:
    """Return the sessions of one person.

    Parameters
    ----------
    events : iterable of Event
        All tracks, pages and screens of the person, each with its `source`.
    gap : timedelta
        The silence that ends a session.
    """
    sessions: list[list[Event]] = []
    latest: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.order):
        running = latest.get(event.source)
        if running is None or event.occurred_at - running[-1].occurred_at >= gap:
            running = latest[event.source] = []
            sessions.append(running)
        running.append(event)
    return [_derived(each) for each in sessions]


def _derived(events: list[Event]) -> Event:
    first = events[0]
    properties = {
        "duration_seconds": (events[-1].occurred_at - first.occurred_at) // SECOND,
        "events": len(events),
        "source": first.source,
        CAMPAIGN: (first.context or {}).get(CAMPAIGN),
    }
    return replace(first, name=SESSION, properties=properties, derived=True)


def sessions_sql(plan: Plan, since: datetime | None) -> str:
    """Return a relation with a row for each session, with the columns of stored events.

    Parameters
    ----------
    since : datetime or None
        No session that began earlier is asked for. Then only events from one gap before are read: an event that begins
        a session after `since` has none in the gap before it, and a session that is cut off begins before `since`.

    Notes
    -----
    One sort serves everything: what a session ends with is what its successor's first event looks back on. Columns that
    the statement around does not ask for are not computed.
    """
    gap = plan.bind(plan.setting.session_gap, "gap")
    bound = f" and v.occurred_at >= {plan.bind(since - plan.setting.session_gap, 'sessions_since')}" if since else ""
    one = "partition by v.profile_id, v.source_id"
    types = ", ".join(map(str, ACTIVE_TYPES))
    return f"""(
        select s.id, s.profile_id, s.occurred_at, s.context, jsonb_build_object(
            'duration_seconds',
            floor(extract(epoch from coalesce(lead(s.before) over following, s.last_at) - s.occurred_at))::bigint,
            'events', coalesce(lead(s.place) over following, s.total + 1) - s.place,
            'source', (select o.key from ingestion_source o where o.id = s.source_id),
            '{CAMPAIGN}', s.context -> '{CAMPAIGN}') as properties
        from (
            select v.id, v.profile_id, v.source_id, v.occurred_at, v.context,
                lag(v.occurred_at) over timeline as before, row_number() over timeline as place,
                max(v.occurred_at) over ({one}) as last_at, count(*) over ({one}) as total
            from profiles_event v where v.type in ({types}){bound}{plan.only("v.profile_id")}
            window timeline as ({one} order by v.occurred_at, v.id)
        ) s
        where s.before is null or s.occurred_at - s.before >= {gap}
        window following as (partition by s.profile_id, s.source_id order by s.occurred_at, s.id)
    )"""
