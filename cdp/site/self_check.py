"""The scheduled check of the configuration against the rules of data protection."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from cdp.site.outlets import list_outlets
from consent.asking_models import Form
from consent.models import Notice, Purpose
from consent.queries.organisation import read_organisation
from consent.retention_models import RetentionRule, SelfCheck
from ingestion.models import Source
from segments.models import Segment

EVERY = timedelta(hours=1)
KEPT = timedelta(days=400)
ON_CONSENT = "consent"
# What has no key of its own.
PLACES = {"installation": "retention", "organisation": "your organisation"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing: its stable code, what it is about, why it matters, and where to mend it."""

    code: str
    object: str
    message: str
    rule: str
    link: str

    @property
    def place(self) -> str:
        """Where it is mended, as a page says it."""
        kind, _, key = self.object.partition(":")
        return PLACES.get(kind) or f"{kind.replace('_', ' ')} {key}"


def find_gaps() -> list[Finding]:
    """Return what is missing now (some ten statements)."""
    return [*_purposes(), *_sources(), *_destinations(), *_retention(), *_organisation()]


def run_self_check(now: datetime) -> None:
    """Write down what is missing, once an hour; runs of more than a year ago go."""
    last = SelfCheck.objects.order_by("-checked_at").first()
    if last is not None and last.checked_at > now - EVERY + timedelta(minutes=5):
        return
    SelfCheck.objects.create(checked_at=now, findings=[asdict(one) for one in find_gaps()])
    SelfCheck.objects.filter(checked_at__lt=now - KEPT).delete()


def read_last_check() -> dict[str, Any] | None:
    """Return the last scheduled run; None before the first."""
    row = SelfCheck.objects.order_by("-checked_at", "-id").first()
    return {"checked_at": row.checked_at, "findings": row.findings} if row is not None else None


def _purposes() -> Iterator[Finding]:
    noticed = set(Notice.objects.values_list("key", flat=True))
    asked = {
        ask["purpose"]: form.notice_key
        for form in Form.objects.filter(enabled=True)
        for ask in form.asks
        if form.notice_key in noticed
    }
    for purpose in Purpose.objects.order_by("key"):
        where = f"/consent/purposes/{purpose.key}"
        name = f"purpose:{purpose.key}"
        if purpose.legal_basis == ON_CONSENT and purpose.key not in asked and purpose.key not in noticed:
            message = (
                f"People cannot have been informed of “{purpose.name}”: no notice is named after it or asked with it."
            )
            yield Finding("purpose.no_notice", name, message, "GDPR Art. 7(1), 13", where)
        if purpose.retention_days is None:
            message = f"“{purpose.name}” does not say how long its data is kept."
            yield Finding("purpose.no_retention", name, message, "GDPR Art. 5(1)(e), 30(1)(f)", where)
        if purpose.special_category and purpose.legal_basis != ON_CONSENT:
            message = f"“{purpose.name}” processes special categories on {purpose.legal_basis}: check Art. 9(2)."
            yield Finding("purpose.special_without_consent", name, message, "GDPR Art. 9", where)


def _sources() -> Iterator[Finding]:
    purposes = set(Purpose.objects.values_list("key", flat=True))
    for source in Source.objects.filter(enabled=True).order_by("key"):
        where, name = f"/sources/{source.key}", f"source:{source.key}"
        if not source.owner:
            message = f"Nobody looks after the source {source.key}."
            yield Finding("source.no_owner", name, message, "GDPR Art. 5(2), 24", where)
        if not source.purpose and not source.required_purpose:
            message = f"The source {source.key} does not say what it collects data for."
            yield Finding("source.no_purpose", name, message, "GDPR Art. 5(1)(b)", where)
        if source.required_purpose and source.required_purpose not in purposes:
            message = f"The source {source.key} asks for consent to a purpose that does not exist."
            yield Finding("source.unknown_purpose", name, message, "GDPR Art. 5(1)(b)", where)


def _destinations() -> Iterator[Finding]:
    purposes = {row.key: row for row in Purpose.objects.all()}
    for outlet in list_outlets():
        purpose = purposes.get(outlet.purpose)
        if not outlet.enabled or (outlet.source and not outlet.purpose):
            # Forwarding without a purpose is a statement of the operator: the other system is the same controller's.
            continue
        if purpose is None:
            message = f"“{outlet.name}” sends to {outlet.recipient} for no purpose that exists."
            yield Finding("destination.no_purpose", outlet.key, message, "GDPR Art. 5(1)(b)", outlet.link)
        elif outlet.recipient not in purpose.recipients:
            message = f"{outlet.recipient} receives data for “{purpose.name}”, which does not name it as a recipient."
            yield Finding("destination.unnamed_recipient", outlet.key, message, "GDPR Art. 13(1)(e)", outlet.link)
    for segment in Segment.objects.filter(status="live", purpose="").order_by("key"):
        message = f"The live segment “{segment.name}” has no purpose: nobody is left out for want of consent."
        yield Finding(
            "segment.no_purpose", f"segment:{segment.key}", message, "GDPR Art. 6", f"/segments/{segment.key}"
        )


def _retention() -> Iterator[Finding]:
    if not RetentionRule.objects.filter(enabled=True).exists():
        message = "No retention schedule: events and traits are kept for ever."
        yield Finding("retention.none", "installation", message, "GDPR Art. 5(1)(e)", "/retention")


def _organisation() -> Iterator[Finding]:
    organisation = read_organisation()
    if not organisation.name or not organisation.email:
        message = "The controller's name and e-mail are missing: receipts and the register need them."
        rule, where = "GDPR Art. 13(1)(a), 30(1)(a)", "/consent/outward"
        yield Finding("organisation.missing", "organisation", message, rule, where)
