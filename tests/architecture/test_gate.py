"""Whatever sends data of people to others asks the one gate (`consent.services.gate`) at the moment of sending."""

from tests.architecture.source import files, imported, name_of

OUTGOING = "cdp.core.outgoing"
GATE = "consent.services.gate"
# What calls servers of others, and why it sends nobody's data, or through which modules it asks the gate.
SENDS_NOBODY = {
    "cdp/core/sign_in/transport.py": "signs staff in",
    "consent/services/callbacks.py": "tells a controller how the request that it made stands",
    "consent/services/processors.py": "asks processors to erase people (GDPR Art. 19)",
    "consent/services/recipients.py": "tells recipients whom they have to erase (GDPR Art. 19)",
    "consent/services/webhooks.py": "tells of decisions themselves, withdrawals above all, by ids only",
    "ingestion/services/alerts.py": "looks at an address before it is saved",
    "ingestion/services/delivering.py": "notices of alerts, which name no person",
    "ingestion/services/forwarding.py": "looks at an address before it is saved",
    "segments/services/sending/destinations.py": "tries a destination with an invented person",
    "segments/services/sending/posting.py": "is handed what to send by `delivering`, and touches no database",
}
ASKS_THROUGH = {
    "ingestion/services/forward_copies.py": ("ingestion.services.forward_gate",),
    "segments/services/sending/delivering.py": (
        "segments.services.sending.claiming",
        "segments.services.sending.gated",
    ),
}
# What looks at the state of consent itself, and why that decides nothing about sending.
READS_STATES = {
    "consent/": "owns it",
    "ingestion/services/held.py": "whose state has changed: it is judged by the gate afterwards",
    "segments/language/references.py": "a condition on consent narrows a segment; sending asks the gate",
    "segments/queries/people.py": "the same, told about one person",
    "segments/services/sending/destinations.py": "marks whose consent ended; the gate judges the delivery",
    "segments/queries/reach.py": "counts whom a segment could reach, before anything is sent",
}


def senders() -> set[str]:
    """Return the modules that call servers of others."""
    found = {name_of(path) for path in files() for target in imported(path) if target.startswith(OUTGOING)}
    return found - {"cdp/core/outgoing.py"}


def imports_of(name: str) -> set[str]:
    """Return what a module imports."""
    return {target for path in files() if name_of(path) == name for target in imported(path)}


def test_every_sender_is_known_with_its_way_through_the_gate():
    assert senders() == SENDS_NOBODY.keys() | ASKS_THROUGH.keys()


def test_what_sends_people_asks_the_gate():
    for sender, steps in ASKS_THROUGH.items():
        here = sender
        for step in (*steps, GATE):
            assert any(target.startswith(step) for target in imports_of(here)), (here, step)
            here = f"{step.replace('.', '/')}.py"


def test_nothing_else_reads_what_people_decided():
    marks = ("consent_current", "import Current")
    found = {name_of(path) for path in files() if any(mark in path.read_text(encoding="utf-8") for mark in marks)}
    unknown = {name for name in found if not any(name.startswith(known) for known in READS_STATES)}
    assert unknown == set()
    assert all(any(name.startswith(known) for name in found) for known in READS_STATES)
