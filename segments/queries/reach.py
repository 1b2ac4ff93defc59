"""How many members could be reached on each channel: who has an address, who agreed, and whom nothing holds back.

The twin of the gate (`consent.decision.may_process`) over a whole segment in one statement. It informs; what is sent is
decided by the gate itself, person by person.
"""

from dataclasses import dataclass
from typing import Any

from cdp.core.copying import int_array, text_array
from consent.decision import LEGITIMATE_INTERESTS, PUBLIC_TASK, REFUSALS
from consent.queries.purposes import get_purpose, list_purposes
from segments.queries.preview import Trial, ask

# What a channel needs to reach somebody. A channel that is not named here needs no address that the product knows.
ADDRESSES = {
    "email": ("email",),
    "sms": ("phone",),
    "phone": ("phone",),
    "call": ("phone",),
    "whatsapp": ("phone",),
    "push": ("ios.id", "android.id", "device_id"),
}
# Legal bases under which a refusal counts as an objection.
WEIGHED = (LEGITIMATE_INTERESTS, PUBLIC_TASK)

REACH = """
with members as materialized (
{members}
),
asked as (
    select number, purpose, basis, channel, string_to_array(types, ' ') as types
    from unnest(%(reach_numbers)s::int[], %(reach_purposes)s::int[], %(reach_bases)s::text[],
        %(reach_channels)s::text[], %(reach_types)s::text[]) as a(number, purpose, basis, channel, types)
),
addresses as (
    select i.profile_id, a.number, bool_or(s.id is null) as free
    from profiles_identifier i
    join profiles_identifiertype t on t.id = i.type_id
    join asked a on t.key = any(a.types)
    left join consent_suppression s on substring(s.digest from 1 for 16) = i.lookup
    group by i.profile_id, a.number
),
standing as (
    select a.number, cardinality(a.types) = 0 or h.profile_id is not null as addressed,
        case a.basis when 'consent' then
                coalesce(c.state = 'granted' and (c.expires_at > %(reach_now)s) is not false, false)
            when 'weighed' then coalesce(c.state, '') <> all(%(reach_refusals)s)
            else true end as consented,
        (cardinality(a.types) = 0 or h.free)
            and not coalesce(c.conflict or a.basis <> 'consent' and (c.objected or c.state = 'objected'), false) as free
    from members m
    cross join asked a
    left join addresses h on h.profile_id = m.profile_id and h.number = a.number
    left join consent_current own on own.profile_id = m.profile_id and own.purpose_id = a.purpose
        and own.channel = a.channel
    left join consent_current shared on shared.profile_id = m.profile_id and shared.purpose_id = a.purpose
        and shared.channel = '' and own.profile_id is null
    left join lateral (
        select coalesce(own.state, shared.state) as state, coalesce(own.conflict, shared.conflict) as conflict,
            coalesce(own.objected, shared.objected) as objected,
            case when own.profile_id is null then shared.expires_at else own.expires_at end as expires_at
    ) c on true
)
select number, count(*) filter (where addressed), count(*) filter (where addressed and consented),
    count(*) filter (where addressed and consented and free)
from standing group by number
union all
select -1, count(*), 0, 0 from members
"""
EVERY_CHANNEL = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How many members are left on a channel after each question; the channel "" is a purpose's only one."""

    purpose: str
    channel: str
    matching: int
    has_address: int
    consented: int
    not_suppressed: int


def read_reach(*, trial: Trial, purpose: str | None = None) -> tuple[int, list[Reach]]:
    """Return how many people a definition finds, and how many of them each channel of each purpose reaches.

    Parameters
    ----------
    purpose : str or None
        The purpose's key; None for all purposes.

    Raises
    ------
    UnknownPurpose
        If there is none with this key.
    PreviewTooSlow
        If it takes too long.
    """
    purposes = [get_purpose(key=purpose)] if purpose else list(list_purposes().order_by("key"))
    asked = [(row, channel) for row in purposes for channel in (row.channels or [EVERY_CHANNEL])]
    compiled = trial.compile()
    parameters: dict[str, Any] = {
        **compiled.parameters,
        "reach_now": trial.now,
        "reach_refusals": list(REFUSALS),
        "reach_numbers": int_array(range(len(asked))),
        "reach_purposes": int_array(row.pk for row, _ in asked),
        "reach_bases": text_array("weighed" if row.legal_basis in WEIGHED else row.legal_basis for row, _ in asked),
        "reach_channels": text_array(channel for _, channel in asked),
        "reach_types": text_array(" ".join(ADDRESSES.get(channel, ())) for _, channel in asked),
    }
    counts = {row[0]: row[1:] for row in ask(REACH.format(members=compiled.sql), parameters)}
    matching = counts[-1][0]
    return matching, [
        Reach(row.key, channel, matching, *counts.get(number, (0, 0, 0))) for number, (row, channel) in enumerate(asked)
    ]
