"""The one gate: whatever leaves the house, or acts on a person, asks here at the moment of acting.

Never cache an answer: a withdrawal counts from its commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from consent import decision as rules
from consent.decision import Verdict
from consent.models import Purpose
from consent.queries.current import standing_at, standings
from consent.queries.purposes import check_channel, get_purpose
from profiles.models import Profile

# While a purpose of this key exists, matching heeds it.
MATCHING_PURPOSE = "identity_matching"
NO_PROFILE = Verdict(False, rules.UNKNOWN, rules.UNKNOWN, None)


def may_process(*, profile_id: int, purpose: str, channel: str | None, at: datetime) -> Verdict:
    """Decide whether one person's data may be processed for a purpose and channel.

    Parameters
    ----------
    profile_id : int
        Internal id; of a profile that does not exist nothing may be processed.
    purpose : str
        The purpose's key.
    channel : str or None
        None asks for all channels at once.
    at : datetime
        The present, as the caller reads it: expiry is judged at this instant.

    Raises
    ------
    UnknownPurpose, UnknownChannel
        An unknown purpose or channel is an error, never "allowed".
    """
    verdicts = verdicts_for(profile_ids=[profile_id], purpose=purpose, channel=channel, at=at)
    return verdicts[profile_id]


def verdicts_for(*, profile_ids: Sequence[int], purpose: str, channel: str | None, at: datetime) -> dict[int, Verdict]:
    """Decide for many people at once, in a constant number of statements (see `may_process`)."""
    found = get_purpose(key=purpose)
    check_channel(purpose=found, channel=channel)
    held = standings(profile_ids=profile_ids, purpose=found, channel=channel)
    return {
        profile_id: rules.may_process(
            standing=held[profile_id][0],
            legal_basis=found.legal_basis,
            restricted=held[profile_id][1],
            now=at,
        )
        if profile_id in held
        else NO_PROFILE
        for profile_id in profile_ids
    }


def filter_processable(*, profile_ids: Sequence[int], purpose: str, channel: str | None, at: datetime) -> list[int]:
    """Return those of the profiles whose data may be processed, in the order given (see `may_process`)."""
    verdicts = verdicts_for(profile_ids=profile_ids, purpose=purpose, channel=channel, at=at)
    return [profile_id for profile_id in profile_ids if verdicts[profile_id].allowed]


def check_consent(
    *,
    profile_id: int,
    purpose: str,
    channel: str | None,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Verdict:
    """Answer what the gate says now, or would have said at another time.

    Parameters
    ----------
    as_of : datetime, optional
        The instant asked about, by effective time and expiry.
    known_at : datetime, optional
        Only what had been recorded by then counts.

    Notes
    -----
    A restriction of processing is known for the present only; it blocks answers about other times as well.
    """
    if as_of is None and known_at is None:
        return may_process(profile_id=profile_id, purpose=purpose, channel=channel, at=now)
    found = get_purpose(key=purpose)
    check_channel(purpose=found, channel=channel)
    standing = standing_at(profile_id=profile_id, purpose=found, channel=channel, as_of=as_of, known_at=known_at)
    restricted = Profile.objects.filter(id=profile_id, restricted=True).exists()
    return rules.may_process(
        standing=standing, legal_basis=found.legal_basis, restricted=restricted, now=as_of or known_at or now
    )


def required_states(purpose: str, profile_ids: Iterable[int], now: datetime) -> Mapping[int, str]:
    """Return, for a source that asks for consent before it stores, the state per profile; allowed reads ``granted``.

    A purpose that does not exist leaves everybody unknown, so that messages are held rather than stored.
    """
    if not Purpose.objects.filter(key=purpose).exists():
        return {}
    verdicts = verdicts_for(profile_ids=list(profile_ids), purpose=purpose, channel=None, at=now)
    return {
        profile_id: rules.GRANTED
        if verdict.allowed
        else (rules.OBJECTED if verdict.state == rules.GRANTED else verdict.state)
        for profile_id, verdict in verdicts.items()
    }


def barred_from_matching(profile_ids: Sequence[int], now: datetime) -> set[int]:
    """Return those whom fuzzy matching must leave alone: the purpose `identity_matching`, where it exists, says so."""
    if not profile_ids or not Purpose.objects.filter(key=MATCHING_PURPOSE).exists():
        return set()
    verdicts = verdicts_for(profile_ids=profile_ids, purpose=MATCHING_PURPOSE, channel=None, at=now)
    return {profile_id for profile_id, verdict in verdicts.items() if not verdict.allowed}
