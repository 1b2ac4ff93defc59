"""`$session`: what a person did at one source without a longer silence (rule 16).

A session is the tracks, pages and screens of one person at one source, in their order, in which each follows the one
before within less than the gap. It stands at the time, and has the id and the context, of its first event. Identify,
group and alias calls, which servers and imports send at any time, are no visits. Statements read the sessions that
`profiles.services.sessions` keeps; for one person they are derived from the events.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from segments.language.person import Event

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
SESSION_NUMBERS = ("duration_seconds", "events")
COLUMNS = (*SESSION_NUMBERS, "source", CAMPAIGN)
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


def sessions_sql() -> str:
    """Return a relation with a row for each kept session: the columns of stored events, and each property by itself.

    Columns that the statement around does not ask for are not computed; few ask for the context.
    """
    return f"""(
        select s.*, jsonb_build_object({", ".join(f"'{name}', s.{name}" for name in COLUMNS)}) as properties,
            (select v.context from profiles_event v where v.id = s.id and v.occurred_at = s.occurred_at) as context
        from (
            select s.id, s.profile_id, s.occurred_at, s.events, o.key as source, s.campaign,
                floor(extract(epoch from s.ended_at - s.occurred_at))::bigint as duration_seconds
            from profiles_session s left join ingestion_source o on o.id = s.source_id
        ) s
    )"""


def session_properties(alias: str, name: str) -> str:
    """Return the properties of a session, in a relation of sessions alone, without those that nobody asks for."""
    return f"jsonb_build_object('{name}', {alias}.{name})" if name in COLUMNS else "'{}'::jsonb"
