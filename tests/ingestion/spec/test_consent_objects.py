"""Reading the consent objects of Segment and RudderStack."""

import pytest

from ingestion.spec.consent import read_consent


@pytest.mark.parametrize(
    ("context", "chosen"),
    [
        ({}, None),
        ({"consent": None}, None),
        ({"consent": {}}, None),
        ({"consent": {"categoryPreferences": None}}, None),
        ({"consent": {"categoryPreferences": {}}}, {}),
        ({"consent": {"categoryPreferences": {"ads": True, "news": False}}}, {"ads": True, "news": False}),
        ({"consent": {"categoryPreferences": {"ads": "true", "news": 1, "mail": None}}}, {}),
        ({"consentManagement": {"allowedConsentIds": ["a"], "deniedConsentIds": ["b"]}}, {"a": True, "b": False}),
        ({"consentManagement": {"allowedConsentIds": ["a"], "deniedConsentIds": ["a"]}}, {"a": False}),
        ({"consentManagement": {"allowedConsentIds": {"a": 1}, "deniedConsentIds": [5]}}, {}),
        ({"consentManagement": {}}, {}),
        ({"consentManagement": "x"}, None),
    ],
)
def test_reads_what_a_person_chose(context, chosen):
    assert read_consent(context) == chosen
