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


def _texts(value: object) -> list[str]:
    return [entry for entry in value if entry.__class__ is str] if isinstance(value, list) else []
