"""Google's consent mode, as it stands for a person."""

from datetime import datetime

from consent import decision as rules
from consent.models import Purpose
from consent.queries.current import current_consents
from consent.tcf.mapping import DENIED, GRANTED, MODE_SIGNALS, UNKNOWN


def read_consent_mode(*, profile_id: int, now: datetime) -> dict[str, str]:
    """Return each signal as ``granted``, ``denied`` or ``unknown``.

    Notes
    -----
    A signal to which several purposes are mapped is granted only if all of them are, and denied as soon as one is
    refused, expired or in conflict. What nobody decided on is unknown, which is not denied.
    """
    held = {
        one.decision.purpose.key: one
        for one in current_consents(profile_ids=[profile_id], now=now).get(profile_id, [])
        if not one.decision.channel
    }
    said: dict[str, list[str]] = {name: [] for name in MODE_SIGNALS}
    for purpose in Purpose.objects.exclude(consent_mode=[]).order_by("id"):
        one = held.get(purpose.key)
        if one is None or one.state in {rules.UNKNOWN, rules.PENDING}:
            state = UNKNOWN
        else:
            state = GRANTED if one.state == rules.GRANTED and not one.conflict else DENIED
        for name in purpose.consent_mode:
            said[name].append(state)
    return {name: _together(states) for name, states in said.items()}


def _together(states: list[str]) -> str:
    if DENIED in states:
        return DENIED
    return GRANTED if states and UNKNOWN not in states else UNKNOWN
