"""Signals to answers: what an IAB string or Google's consent mode says on each of our purposes.

References
----------
Google, "Consent mode": seven signals, each ``granted`` or ``denied``; one that is not set says nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from consent.tcf.decode import TcString
from consent.tcf.judge import read_answer

ADVERTISING_SIGNALS = ("ad_storage", "ad_user_data", "ad_personalization", "analytics_storage")
MODE_SIGNALS = (*ADVERTISING_SIGNALS, "functionality_storage", "personalization_storage", "security_storage")
GRANTED, DENIED, UNKNOWN = "granted", "denied", "unknown"
TCF_PURPOSES = range(1, 25)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What one of our purposes needs of each kind of signal; empty: this kind says nothing on it."""

    categories: tuple[str, ...]
    tcf_purposes: tuple[int, ...] = ()
    consent_mode: tuple[str, ...] = ()
    gpc: bool = False


def read_mode(given: Any) -> dict[str, str]:
    """Return the signals of consent mode that are set; whatever else is there is left out."""
    if not isinstance(given, Mapping):
        return {}
    return {name: given[name] for name in MODE_SIGNALS if given.get(name) in {GRANTED, DENIED}}


def answer_of_mode(signals: Mapping[str, str], *, wanted: Collection[str]) -> bool | None:
    """Return what consent mode says on a purpose: no as soon as one signal is denied, yes only if all are granted."""
    said = [signals.get(name) for name in wanted]
    if DENIED in said:
        return False
    return True if said and all(one == GRANTED for one in said) else None


def answer_of_categories(categories: Mapping[str, bool], *, wanted: Collection[str]) -> bool | None:
    """Return what a consent object says on a purpose, by the same rule."""
    said = [categories[name] for name in wanted if name in categories]
    if not all(said):
        return False
    return True if said and len(said) == len(wanted) else None


@dataclass(frozen=True, slots=True)
class Signals:
    """What one message or request says: a consent object, consent mode, a consent string."""

    categories: Mapping[str, bool]
    mode: Mapping[str, str]
    tc: TcString | None


def answer(mapped: Mapped, signals: Signals, *, vendor_id: int | None) -> bool | None:
    """Return what all signals together say on a purpose: any no is a no; None if none of them says anything."""
    tc = signals.tc
    said = [
        answer_of_categories(signals.categories, wanted=mapped.categories),
        answer_of_mode(signals.mode, wanted=mapped.consent_mode),
        read_answer(tc, purposes=mapped.tcf_purposes, vendor_id=vendor_id) if tc is not None else None,
    ]
    if False in said:
        return False
    return True if True in said else None
