"""One object of every kind that an address names, so that who asks for it reaches something."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Field, Model, QuerySet
from django.utils import timezone

from cdp.core.models import ApiKey, AuditEntry, Invitation, Job
from cdp.core.secrets import seal
from consent.asking_models import Banner, ConsentImport, Form, Link
from consent.field_models import FieldOverride, FieldTag
from consent.models import Decision, Notice, Purpose
from consent.proof_models import LegalHold, RecipientAddress
from consent.request_models import Letter, Regulation
from consent.retention_models import RegisterEdition, RetentionRule
from consent.suppression_models import Suppression
from consent.webhook_models import ConsentWebhook
from ingestion.alert_models import Alert, AlertChannel, AlertMute
from ingestion.models import Forwarding, Import, Message, QualityRule, Quarantined, Replay, Source, TreatmentVersion
from ingestion.reconciliation_models import Reconciliation
from ingestion.services.forwarding import SEALED_AS
from ingestion.services.sources import SourceSettings, create_source
from profiles.matching_models import MatchCandidate, MatchRun
from profiles.models import (
    Correction,
    Edge,
    ExchangeRate,
    Group,
    Identifier,
    Merge,
    QuarantinedValue,
    RulesRun,
    RulesVersion,
)
from profiles.services.matching_models import create_model
from segments.models import ComputedTrait, ListUpload, Segment, StaticList
from segments.sending.signing import make_secret
from segments.sending_models import Destination, Export, ExportSchedule
from segments.services.sending.recipes import seal_secrets
from tests.site.shop import ask, open_shop, profile_of
from tests.world import DANA, EVE, staff

COUNTED = ("merge", "split", "refuse", "quarantine", "lift", "block")
VALUES: dict[str, Any] = {
    "BooleanField": False,
    "IntegerField": 1,
    "BigIntegerField": 1,
    "SmallIntegerField": 1,
    "PositiveIntegerField": 1,
    "PositiveSmallIntegerField": 1,
    "PositiveBigIntegerField": 1,
    "FloatField": 0.5,
    "DecimalField": Decimal("1.5"),
    "DateField": date(2026, 3, 14),
    "TimeField": time(9),
    "ArrayField": [],
    "JSONField": {},
}


def make(model: type[Model], /, **given: Any) -> Any:
    """Store a row, with something in every column that has to have something."""
    for field in model._meta.concrete_fields:
        if field.name in given or field.attname in given or not _is_needed(field):
            continue
        given[field.name] = _value(field)
    return model._default_manager.create(**given)


def _is_needed(field: Field) -> bool:
    is_counted = field.primary_key and "Auto" in field.get_internal_type()
    return not (field.null or field.has_default() or is_counted)


def _value(field: Field) -> Any:
    kind = field.get_internal_type()
    if field.choices:
        return next(iter(field.choices))[0]
    if kind == "DateTimeField":
        return timezone.now()
    if kind == "UUIDField":
        return uuid.uuid4()
    if kind == "BinaryField":
        return secrets.token_bytes(32)
    if kind in VALUES:
        return VALUES[kind]
    return "" if field.blank else "x"


@dataclass(frozen=True)
class World:
    """What addresses name: by the part of the address up to the name, an object that is there and one like it."""

    there: dict[str, str]
    other: dict[str, str]
    shared: tuple[Model, ...]


def build() -> World:
    """Store one object of every kind, and a second one of those on which single people may have rights."""
    open_shop()
    now = timezone.now()
    shop, purpose, segment = Source.objects.get(key="shop"), Purpose.objects.get(), Segment.objects.get()
    app = create_source(key="app", kind="browser", settings=SourceSettings(name="App"), actor="system", now=now)
    news = make(Purpose, key="news", name="News", legal_basis="consent")
    others = make(Segment, key="others", name="Others")
    others.versions.create(version=1, definition=segment.versions.get().definition, created_at=now)
    destination, second = (_destination(key, segment) for key in ("crm", "ads"))
    there = {
        **_of_kernel(now),
        **_of_profiles(now),
        **_of_consent(purpose, app, now),
        **_of_segments(segment, now),
        **_of_collection(shop, app),
        "destinations/<key>": destination.key,
        "<act>": "pause",
    }
    other = {
        "sources/<key>": app.key,
        "tracking-plans/<key>": app.key,
        "segments/<key>": others.key,
        "destinations/<key>": second.key,
        "purposes/<key>": news.key,
        "consent/purposes/<key>": news.key,
    }
    return World(
        there={name: str(value) for name, value in there.items()},
        other=other,
        shared=(segment, shop, destination, purpose),
    )


def _destination(key: str, segment: Segment) -> Destination:
    return make(
        Destination,
        key=key,
        name=key,
        segment=segment,
        kind="webhook",
        purpose="marketing",
        channel="email",
        request={"url": "https://crm.example/in", "method": "POST", "headers": {}, "body": {}},
        sealed=seal_secrets(signing=[make_secret()], values={}),
    )


def _of_kernel(now: datetime) -> dict[str, Any]:
    make(ApiKey, name="reporting", scopes=["audit:read"])
    invitation = make(Invitation, email="new@house.example", expires_at=now + timedelta(days=1))
    return {
        "api-keys/<name>": "reporting",
        "core/user/<object_id>": staff("ana").pk,
        "core/invitation/<object_id>": invitation.pk,
        "core/auditentry/<object_id>": make(AuditEntry).pk,
        "core/job/<object_id>": make(Job).pk,
    }


def _of_profiles(now: datetime) -> dict[str, Any]:
    dana, eve = profile_of(DANA.user_id), profile_of(EVE.user_id)
    identifier = first(Identifier.objects.filter(profile=dana))
    edge, merge, rules_run = (
        first(Edge.objects.all()),
        first(Merge.objects.all()),
        make(RulesRun, counts=dict.fromkeys(COUNTED, 0)),
    )
    make(QuarantinedValue, identifier=identifier, type=identifier.type)
    make(RulesVersion, version=1, definition={"types": []})
    make(Group, group_id="acme")
    stated = {"value": "D", "reason": "a letter"}
    correction = make(Correction, profile=dana, identifier_id=identifier.pk, trait="name", statement=stated)
    fields = [{"trait": "name", "comparison": "name"}, {"trait": "email", "comparison": "email"}]
    asked = {"key": "people", "name": "People", "sources": ["shop"], "fields": fields, "mode": "deduplicate"}
    model = create_model(definition=asked, actor="system", now=now)
    candidate = make(MatchCandidate, model=model, left=dana.pk, right=eve.pk)
    return {
        "profiles/<profile_id>": dana.uuid,
        "profiles/<public_id>": dana.uuid,
        "explain/<profile_id>": dana.uuid,
        "explain/<public_id>": dana.uuid,
        "corrections/<correction_id>": correction.pk,
        "exchange-rates/<rate_id>": make(ExchangeRate, currency="USD").pk,
        "groups/<group_id>": "acme",
        "identity/blocks/<edge_id>": edge.pk,
        "identity/edges/<edge_id>": edge.pk,
        "links/<edge_id>": edge.pk,
        "identity/candidates/<candidate_id>": candidate.pk,
        "possible-duplicates/<candidate_id>": candidate.pk,
        "identity/models/<key>": model.key,
        "matching/<key>": model.key,
        "runs/<run_id>": make(MatchRun, model=model).pk,
        "identity/quarantined/<identifier_id>": identifier.pk,
        "quarantined-values/<identifier_id>": identifier.pk,
        "identity/rules/runs/<run_id>": rules_run.pk,
        "identity-rules/runs/<run_id>": rules_run.pk,
        "identity/rules/versions/<version>": 1,
        "identity-rules/versions/<version>": 1,
        "merges/<merge_id>": merge.pk,
        "traits/encrypted/<name>": "name",
    }


def _of_consent(purpose: Purpose, app: Source, now: datetime) -> dict[str, Any]:
    request, decision = ask(DANA.user_id), first(Decision.objects.all())
    notice = make(Notice, key="n", language="en", text="Text")
    make(Banner, source_id=app.pk, notice_key="n", purposes=[purpose.key])
    make(Form, key="sign-up", name="Sign up", notice_key="n")
    make(LegalHold, key="tax", name="Tax", keep_days=10)
    make(RetentionRule, kind="event", name="Product Viewed", keep_days=10)
    hook, tag, leave = make(ConsentWebhook), make(FieldTag), make(FieldOverride, purpose=purpose)
    link = make(Link, identifier_id=first(Identifier.objects.all()).pk, expires_at=now + timedelta(days=1))
    return {
        "banners/<key>": app.key,
        "consent-forms/<key>": "sign-up",
        "forms/<key>": "sign-up",
        "consent-imports/<import_id>": make(ConsentImport, preset="columns").pk,
        "consent-webhooks/<webhook_id>": hook.pk,
        "consent/outward/webhooks/<webhook_id>": hook.pk,
        "consents/<decision_id>": decision.pk,
        "consent/conflicts/<decision_id>": decision.pk,
        "consent/purposes/<key>": purpose.key,
        "purposes/<key>": purpose.key,
        "consents/<key>": purpose.key,
        "consent/fields/<tag_id>": tag.pk,
        "field-tags/<tag_id>": tag.pk,
        "consent/fields/leaves/<override_id>": leave.pk,
        "field-overrides/<override_id>": leave.pk,
        "legal-holds/<key>": "tax",
        "letters/<letter_id>": make(Letter, request=request, language="en").pk,
        "notices/<key>": notice.key,
        "<language>": notice.language,
        "<language>/<version>": notice.version,
        "preference-links/<link_id>": link.pk,
        "privacy-requests/<request_id>": request.pk,
        "recipients/<address_id>": make(RecipientAddress, url="https://crm.example/erasures").pk,
        "records/editions/<edition_id>": make(RegisterEdition).pk,
        "regulations/<regulation_id>": make(Regulation, dialect="segment").pk,
        "rudder/v2/regulations/<regulation_id>": make(Regulation, dialect="rudder").pk,
        "retention/<kind>": "event",
        "retention-rules/<kind>": "event",
        "<kind>/<name>": "Product Viewed",
        "suppressions/<suppression_id>": make(Suppression).pk,
    }


def _of_segments(segment: Segment, now: datetime) -> dict[str, Any]:
    later = now + timedelta(days=1)
    computed = {"version": 1, "timezone": "UTC", "compute": {"type": "summary", "fn": "count", "name": "Order"}}
    make(ComputedTrait, key="orders", name="Orders", definition=computed)
    upload = make(ListUpload, list=make(StaticList, key="vip", name="VIP"), type="user_id", column="id")
    plan = make(ExportSchedule, segment=segment, timezone="UTC", format="csv")
    return {
        "computed-traits/<key>": "orders",
        "export-schedules/<schedule_id>": plan.pk,
        "exports/schedules/<schedule_id>": plan.pk,
        "exports/<export_id>": make(Export, segment=segment, segment_key=segment.key, expires_at=later).pk,
        "lists/<key>": "vip",
        "uploads/<upload_id>": upload.pk,
        "files/<upload_id>": upload.pk,
        "segments/<key>": segment.key,
    }


def _of_collection(shop: Source, app: Source) -> dict[str, Any]:
    message, quarantined = first(Message.objects.filter(source_id=shop.pk)), first(Quarantined.objects.all())
    for kind in ("transformations", "plan", "cleaning"):
        make(TreatmentVersion, source=shop, kind=kind, definition={"version": 1, "steps": []})
    make(Forwarding, source=shop, url="https://127.0.0.1/v1", write_key_sealed=seal(b"x", context=SEALED_AS))
    channel, mute = make(AlertChannel), make(AlertMute)
    shape = {"format": "csv", "encoding": "utf-8", "delimiter": ",", "columns": ["id"]}
    return {
        "alerts/<alert_id>": make(Alert, source=shop, state="open", opened_at=timezone.now()).pk,
        "alerts/channels/<channel_id>": channel.pk,
        "alert-channels/<channel_id>": channel.pk,
        "alerts/mutes/<mute_id>": mute.pk,
        "alert-mutes/<mute_id>": mute.pk,
        "imports/<import_id>": make(Import, shape=shape, status="done").pk,
        "messages/<row_id>": message.pk,
        "messages/<message_id>": quarantined.message_id,
        "quarantine/<row_id>": quarantined.pk,
        "reconciliations/<reconciliation_id>": make(Reconciliation, a=shop, b=app).pk,
        "replays/<replay_id>": make(Replay).pk,
        "rules/<rule_id>": make(QualityRule, source=shop, type="track", field="x").pk,
        "versions/<version>": 1,
        "sources/<key>": shop.key,
        "tracking-plans/<key>": shop.key,
    }


def first(rows: QuerySet) -> Any:
    """Return the oldest row; there is one."""
    found = rows.order_by("pk").first()
    assert found is not None
    return found


MISSING = {
    "int": "987654321",
    "path": "987654321",
    "uuid": str(uuid.UUID(int=2**128 - 1)),
    "slug": "no-such",
    "str": "no-such",
}
