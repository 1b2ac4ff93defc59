"""What the six dimensions of quality say, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from cdp.core.templatetags.shown import duration, every, percent, thousands
from ingestion.queries.quality import Report

TITLES = {
    "completeness": "Completeness",
    "validity": "Validity",
    "conformity": "Rules and references",
    "timeliness": "Timeliness",
    "uniqueness": "Uniqueness",
    "consistency": "Agreement of sources",
}
QUESTIONS = {
    "completeness": "Is there what should be there?",
    "validity": "Is each value of the kind it should be?",
    "conformity": "Are values within bounds, and do they refer to something known?",
    "timeliness": "Do messages come in time, and as often as expected?",
    "uniqueness": "Does each thing come once, and each identifier name one person?",
    "consistency": "Do other sources say the same of the same people?",
}


@dataclass(frozen=True, slots=True)
class Aspect:
    """A dimension: its share, what it comes from, and where to look further."""

    name: str
    title: str
    question: str
    value: float | None
    sentences: list[str]
    links: list[tuple[str, str]]


def explain(report: Report, address: Callable[..., str]) -> list[Aspect]:
    """Return the dimensions of a report.

    Parameters
    ----------
    address : callable
        Dimension → the address of the messages that lower it.
    """
    writers = {
        "completeness": _completeness,
        "validity": _validity,
        "conformity": _conformity,
        "timeliness": _timeliness,
        "uniqueness": _uniqueness,
        "consistency": _consistency,
    }
    found = []
    for name, title in TITLES.items():
        sentences, links = writers[name](report, address)
        found.append(Aspect(name, title, QUESTIONS[name], getattr(report.dimensions, name), sentences, links))
    return found


Words = tuple[list[str], list[tuple[str, str]]]


def _completeness(report: Report, _: Callable[..., str]) -> Words:
    expected = [one for one in report.fields if one.counts.is_expected]
    if not expected:
        return [
            "No field is expected yet: one counts once most messages of its event have it, or a rule asks for it."
        ], []
    missing = sum(one.counts.messages - one.counts.filled for one in expected)
    whole = sum(one.counts.messages for one in expected)
    lacking = sorted(
        (one for one in expected if one.counts.filled < one.counts.messages),
        key=lambda one: one.counts.filled - one.counts.messages,
    )
    sentences = [f"{thousands(missing)} of {thousands(whole)} values of {len(expected)} expected fields were missing."]
    if lacking:
        worst = lacking[0]
        name = worst.event or worst.type
        sentences.append(
            f"Most often “{worst.field}” of {name}: filled in {percent(worst.dimensions.completeness)} of its messages."
        )
    return sentences, []


def _validity(report: Report, _: Callable[..., str]) -> Words:
    bad = sum(one.counts.bad for one in report.fields)
    values = sum(one.counts.filled + one.counts.stopped for one in report.fields)
    counts = report.counts
    first = counts.received - counts.duplicates
    sentences = [
        f"{thousands(bad)} of {thousands(values)} values are of an unusual kind, or broke the plan or the cleaning."
    ]
    links = []
    if counts.faulty:
        sentences.append(f"{thousands(counts.faulty)} of {thousands(first)} messages were rejected or quarantined.")
        links.append(("Quarantine", f"{reverse('quarantine')}?source={report.source.key}"))
    if any(one.counts.faults or one.counts.stopped for one in report.fields):
        links.append(("What broke the plan", reverse("plan", args=[report.source.key])))
    return sentences, links


def _conformity(report: Report, _: Callable[..., str]) -> Words:
    links = [("Rules for fields", reverse("quality_rules", args=[report.source.key]))]
    checked = sum(one.counts.checked for one in report.fields)
    referred = sum(one.counts.referred for one in report.fields)
    if not checked + referred:
        return ["Nothing was held against a rule yet."], links
    sentences = []
    if checked:
        broken = sum(one.counts.broken for one in report.fields)
        sentences.append(f"{thousands(broken)} of {thousands(checked)} values broke the rule of their field.")
    if referred:
        unknown = sum(one.counts.unknown for one in report.fields)
        sentences.append(f"{thousands(unknown)} of {thousands(referred)} values refer to something unknown.")
    return sentences, links


def _timeliness(report: Report, address: Callable[..., str]) -> Words:
    counts, links, sentences = report.counts, [], []
    if counts.measured:
        sentences.append(
            f"Half of the messages came within {duration(report.p50_seconds)}, 95\u202f% within "
            f"{duration(report.p95_seconds)}; {thousands(counts.late)} of {thousands(counts.measured)} came more than "
            "an hour after they happened."
        )
        if counts.late:
            links.append(("Late messages", address("timeliness")))
    expected = report.source.expected_every_minutes
    if expected is None:
        sentences.append("No frequency is expected; it is set on the page of the source.")
    elif counts.kept is not None:
        sentences.append(f"A message is expected {every(expected)}: kept {percent(100 * counts.kept)} of the time.")
    else:
        sentences.append(f"A message is expected {every(expected)}; this time is too short to judge that.")
    return sentences, links


def _uniqueness(report: Report, address: Callable[..., str]) -> Words:
    counts, links = report.counts, []
    sentences = [
        f"{thousands(counts.duplicates)} of {thousands(counts.received)} messages were copies of earlier ones."
    ]
    if counts.duplicates:
        links.append(("Messages that came more than once", address("uniqueness")))
    if counts.refused:
        sentences.append(
            f"{thousands(counts.refused)} identifiers were left out, as they belong to somebody else or to too many."
        )
        links.append(("Refusals", reverse("refusals")))
    return sentences, links


def _consistency(report: Report, _: Callable[..., str]) -> Words:
    compared = sum(one.compared for one in report.agreements)
    if not compared:
        return ["No other source has sent the same trait of the same person."], []
    agreed = sum(one.agreed for one in report.agreements)
    others = sorted({one.other for one in report.agreements if one.other})
    return [
        f"{thousands(agreed)} of {thousands(compared)} compared values are the same in {', '.join(others)}; how "
        "they are written does not count."
    ], []
