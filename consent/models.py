"""The tables of consent and of privacy requests."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from consent import (  # noqa: F401 - so that Django finds them
    asking_models,
    disclosure_models,
    organisation_models,
    proof_models,
    request_models,
    retention_models,
    suppression_models,
    webhook_models,
)


class Purpose(models.Model):
    """What data is used for, on which legal basis.

    `description` and `words` (language → name and description) are what public pages say. `tcf_purposes` are the
    purposes of the IAB framework that it needs, `consent_mode` the signals of Google's consent mode; `gpc` tells that
    Global Privacy Control opts out of it.

    Personal data: none.
    """

    class LegalBasis(models.TextChoices):
        CONSENT = "consent"
        CONTRACT = "contract"
        LEGAL_OBLIGATION = "legal_obligation"
        VITAL_INTERESTS = "vital_interests"
        PUBLIC_TASK = "public_task"
        LEGITIMATE_INTERESTS = "legitimate_interests"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    legal_basis = models.CharField(max_length=24, choices=LegalBasis.choices, default=LegalBasis.CONSENT)
    channels = models.JSONField(default=list, blank=True)
    retention_days = models.PositiveIntegerField(null=True, blank=True)
    recipients = models.JSONField(default=list, blank=True)
    consent_categories = models.JSONField(default=list, blank=True)
    special_category = models.BooleanField(default=False)
    description = models.TextField(blank=True, db_default="", default="")
    words = models.JSONField(default=dict, blank=True, db_default={})
    tcf_purposes = models.JSONField(default=list, blank=True, db_default=[])
    consent_mode = models.JSONField(default=list, blank=True, db_default=[])
    gpc = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """One immutable version of a text that people agreed to.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64)
    language = models.CharField(max_length=16)
    version = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "language", "version"], name="consent_notice_once")]

    def __str__(self) -> str:
        return f"{self.key} {self.language} {self.version}"


class Decision(models.Model):
    """One row of the append-only consent ledger. Only `profile_id` follows merges, and an officer may settle it.

    `identifier_id` is the identifier that it came with, else the profile's strongest at the time: a split sends
    the row back with it. `recorded_for` is the public id that it was recorded for. `follows` holds the latest
    decisions on the purpose that the profile had then (`consent.decision`). `cleared_at` is when an officer
    attached evidence (`clearance`) to a grant in conflict.

    Personal data: choices and evidence — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    profile_id = models.BigIntegerField(db_index=True)
    identifier_id = models.BigIntegerField(null=True)
    recorded_for = models.UUIDField()
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="decisions")
    channel = models.SlugField(max_length=32, blank=True)
    state = models.CharField(max_length=12)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    source = models.TextField(blank=True)
    actor = models.CharField(max_length=10)
    notice = models.ForeignKey(Notice, null=True, on_delete=models.PROTECT, related_name="decisions")
    evidence = models.JSONField(default=dict)
    follows = ArrayField(models.BigIntegerField(), default=list)
    conflict = models.BooleanField(default=False)
    cleared_at = models.DateTimeField(null=True)
    clearance = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["purpose", "recorded_at"], name="consent_decision_recent")]

    def __str__(self) -> str:
        return f"decision {self.pk}"


class Current(models.Model):
    """The state of one cell (profile, purpose, channel) by the ordering and merge rules; '' is all channels.

    Readers take the greatest of the asked channel's row and the '' row by (effective_at, recorded_at,
    decision_id); these two times sort rows and may lie after those of the decision (`consent.decision.Cell`).

    Personal data: choices — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    profile_id = models.BigIntegerField()
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    channel = models.SlugField(max_length=32, blank=True)
    state = models.CharField(max_length=12)
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    decision = models.ForeignKey(Decision, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    conflict = models.BooleanField(default=False)
    objected = models.BooleanField(default=False)

    class Meta:
        db_table = "consent_current"
        constraints = [
            models.UniqueConstraint(fields=["profile_id", "purpose", "channel"], name="consent_current_cell")
        ]
        indexes = [
            models.Index(fields=["purpose", "channel", "state"], name="consent_current_state"),
            models.Index(fields=["id"], name="consent_current_conflict", condition=models.Q(conflict=True)),
            models.Index(
                fields=["expires_at", "id"],
                name="consent_current_expiring",
                condition=models.Q(expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.state


class PrivacyRequest(models.Model):
    """A data subject's request. `identities` and `closure` are emptied when an erasure completes.

    `closure` is the sealed list of everything that names the person, kept while an erasure runs so that it can
    go on after a crash. `before` holds what each store held when it began. `shared` holds the digests (hexadecimal) of
    identifiers that an officer found to be others' too: erasure does not suppress them. `paused_days` is how long the
    clock stood still for a question about the identity (since `identity_asked_at`, while one is open). `clean_at` is
    when an erasure's search found nothing more here, recipients may still have to be told. What a person
    wrote besides is in `consent.request_models.RequestDetails`.

    Personal data: identities of the person — erased with the request's completion.
    """

    class Type(models.TextChoices):
        ACCESS = "access"
        PORTABILITY = "portability"
        ERASURE = "erasure"
        RECTIFICATION = "rectification"
        RESTRICTION = "restriction"
        OBJECTION = "objection"
        OPT_OUT = "opt_out", "Opt-out of sale"

    class Status(models.TextChoices):
        RECEIVED = "received"
        AWAITING_IDENTITY = "awaiting_identity"
        OPEN = "open"
        APPROVED = "approved"
        RUNNING = "running"
        COMPLETED = "completed"
        PARTIAL = "partial"
        REJECTED = "rejected"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True)
    type = models.CharField(max_length=16, choices=Type.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.RECEIVED)
    regulation = models.CharField(max_length=8, default="gdpr")
    identities = models.JSONField(default=list)
    profile_ids = ArrayField(models.BigIntegerField(), default=list)
    closure = models.BinaryField(null=True)
    before = models.JSONField(default=dict)
    received_at = models.DateTimeField()
    due_at = models.DateTimeField()
    extended_to = models.DateTimeField(null=True)
    verified_by = models.TextField(blank=True)
    steps = models.JSONField(default=list)
    recipients = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    clean_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    created_by = models.TextField(blank=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.IntegerField(default=0)
    approved_at = models.DateTimeField(null=True)
    language = models.CharField(max_length=8, default="en", db_default="en")
    came_by = models.CharField(max_length=16, blank=True, default="", db_default="")
    confirm_at = models.DateTimeField(null=True)
    identity_asked_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    paused_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    shared = models.JSONField(default=list, db_default=[])
    approvals = ArrayField(models.TextField(), default=list, db_default=[])

    class Meta:
        indexes = [models.Index(fields=["due_at", "id"], name="consent_privacyrequest_due")]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
