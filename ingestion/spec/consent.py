"""Consent objects in the context of a message."""

from collections.abc import Mapping
from typing import Any

CONSENT_EVENT = "Segment Consent Preference Updated"


def read_consent(context: Mapping[str, Any]) -> dict[str, bool] | None:
    """Read what a person chose, per category.

    Parameters
    ----------
    context : mapping
        With Segment's ``consent.categoryPreferences`` or RudderStack's ``consentManagement``.

    Returns
    -------
    dict or None
        Category → granted or not, only for categories that the object names; None without a consent object.
        A category that is both allowed and denied is denied.

    References
    ----------
    Segment: Consent in Segment Connections. RudderStack: consent management, ``allowedConsentIds``.
    """
    consent = context.get("consent")
    if consent.__class__ is dict:
        preferences = consent.get("categoryPreferences")
        if preferences.__class__ is dict:
            return {key: value for key, value in preferences.items() if value is True or value is False}
    management = context.get("consentManagement")
    if management.__class__ is dict:
        chosen = dict.fromkeys(_texts(management.get("allowedConsentIds")), True)
        chosen.update(dict.fromkeys(_texts(management.get("deniedConsentIds")), False))
        return chosen
    return None


# Real strings have some hundred characters (`consent.tcf.decode` bounds them, too).
MAX_TCF_CHARACTERS = 16_384
MAX_TEXT_CHARACTERS = 128
METHODS = frozenset({"banner"})


def read_signals(context: Mapping[str, Any]) -> dict[str, Any]:
    """Read what else a consent object says: an IAB string, Google's consent mode, how and on what it was chosen.

    Returns
    -------
    dict
        ``tcf``, ``mode``, ``notice``, ``language``, ``method``, as far as they are there and of their kind.
    """
    consent = context.get("consent")
    if consent.__class__ is not dict:
        return {}
    found: dict[str, Any] = {}
    tcf = consent.get("tcf")
    if tcf.__class__ is str and 0 < len(tcf) <= MAX_TCF_CHARACTERS:
        found["tcf"] = tcf
    mode = consent.get("googleConsentMode")
    if mode.__class__ is dict:
        found["mode"] = mode
    for name in ("notice", "language"):
        value = consent.get(name)
        if value.__class__ is str and 0 < len(value) <= MAX_TEXT_CHARACTERS:
            found[name] = value
    if consent.get("method") in METHODS:
        found["method"] = consent["method"]
    return found


def _texts(value: object) -> list[str]:
    return [entry for entry in value if entry.__class__ is str] if isinstance(value, list) else []
