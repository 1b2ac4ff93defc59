"""The tables of consent and of privacy requests."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from consent import (  # noqa: F401 - so that Django finds them
    disclosure_models,
    organisation_models,
    proof_models,
    request_models,
    retention_models,
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


class SeenPreference(models.Model):
    """What the latest consent object of a source and anonymous id said on a purpose, to notice when it changes.

    `lookup` is the keyed digest of the anonymous id, or of the message's identifier where it had none.

    Personal data: choices under a keyed digest — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    lookup = models.BinaryField()
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE, related_name="+")
    identifier_id = models.BigIntegerField(db_index=True)
    value = models.BooleanField()
    occurred_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "lookup", "purpose"], name="consent_seen_once")]

    def __str__(self) -> str:
        return f"preference {self.pk}"


class UnmappedCategory(models.Model):
    """How often a consent category arrived that no purpose names, so that nobody misses it silently.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    source_id = models.IntegerField()
    category = models.CharField(max_length=64)
    count = models.BigIntegerField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "category"], name="consent_unmapped_once")]

    def __str__(self) -> str:
        return self.category


class ShownText(models.Model):
    """All that a public page said when somebody decided on it, so that the digest in the evidence can be resolved.

    Personal data: none.
    """

    sha256 = models.CharField(primary_key=True, max_length=64)
    text = models.TextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.sha256


class Form(models.Model):
    """A hosted page on which people give their consent: purposes, notice, languages, and what names a person.

    `asks` is a list of ``{"purpose", "channel"}``, `texts` maps languages to ``{"title", "intro"}``.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    asks = models.JSONField(default=list)
    notice_key = models.SlugField(max_length=64)
    languages = models.JSONField(default=list)
    texts = models.JSONField(default=dict)
    identifier_type = models.SlugField(max_length=64, default="email")
    double_opt_in = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class FormUse(models.Model):
    """How often a form was sent in from one network within an hour, under a keyed digest of both.

    Personal data: keyed digest of a truncated address — deleted after a day.
    """

    digest = models.BinaryField(primary_key=True)
    count = models.IntegerField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} uses"


class Link(models.Model):
    """An address by which a person sees and changes their own consents without signing in; no more than that.

    Only the digest of its token is kept. The person is whoever holds `identifier_id`, so that a link follows merges and
    splits. `asks` is what it decides on (unsubscribe, confirm); `evidence` goes with the decision of a confirmation,
    which is single-use.

    Personal data: pseudonymous id, evidence of a form — erasure deletes the row.
    """

    class Kind(models.TextChoices):
        PREFERENCES = "preferences"
        UNSUBSCRIBE = "unsubscribe"
        CONFIRM = "confirm"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    digest = models.BinaryField(unique=True)
    identifier_id = models.BigIntegerField(db_index=True)
    asks = models.JSONField(default=list)
    language = models.CharField(max_length=16, blank=True)
    notice = models.ForeignKey(Notice, null=True, on_delete=models.PROTECT, related_name="+")
    source = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.TextField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"link {self.pk}"


class ConsentImport(models.Model):
    """A table of consents that is read in; `stored` is the sealed file while it is there, `read_rows` how far it is.

    Personal data: none in this row — the sealed file goes when the import is over.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        DONE = "done"
        FAILED = "failed"

    id = models.BigAutoField(primary_key=True)
    preset = models.CharField(max_length=16)
    options = models.JSONField(default=dict)
    stored = models.TextField(blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.QUEUED)
    fault = models.TextField(blank=True)
    read_rows = models.IntegerField(default=0)
    recorded = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    conflicts = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"consent import {self.pk}"


class ConsentImportRow(models.Model):
    """What became of one decision in a table: a row of it may hold several. `reason` is a code, never a value.

    Personal data: none — it names rows by their number only.
    """

    id = models.BigAutoField(primary_key=True)
    made_by = models.ForeignKey(ConsentImport, on_delete=models.CASCADE, related_name="rows")
    row = models.IntegerField()
    outcome = models.CharField(max_length=10)
    reason = models.TextField(blank=True)
    decision_id = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"row {self.row}: {self.outcome}"


class Banner(models.Model):
    """What the banner on a website asks; `source_id` is the browser source whose write key names it.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    source_id = models.IntegerField(unique=True)
    purposes = models.JSONField(default=list)
    notice_key = models.SlugField(max_length=64)
    policy_url = models.URLField(max_length=500, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"banner {self.pk}"


class Suppression(models.Model):
    """A keyed digest of an identifier that must not come back (`cdp.core.digests`, all 32 bytes).

    `form` ``raw``: of the identifier; else (``sha256``, ``sha1``, ``md5``) of its hash, where only that was given.
    `stands_for` is the hashed one for which a known identifier was suppressed: it goes with it.

    Personal data: keyed digest only — it stays after erasure, for that is its use.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(unique=True)
    identifier_type = models.SlugField(max_length=64)
    form = models.CharField(max_length=8, default="raw", db_default="raw")
    stands_for = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="known")
    reason = models.TextField()
    request = models.ForeignKey("PrivacyRequest", null=True, on_delete=models.SET_NULL, related_name="suppressions")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"suppression {self.pk}"


class LedgerEntry(models.Model):
    """A line of the ledger of erasures that this database knows of (`consent.services.erasure_ledger`).

    Personal data: keyed digests only — they stay, as suppressions do.
    """

    class Kind(models.TextChoices):
        BEGUN = "begun"
        ERASED = "erased"
        SUPPRESSED = "suppressed"
        LIFTED = "lifted"

    number = models.BigIntegerField(primary_key=True)
    mac = models.BinaryField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    request_id = models.UUIDField(null=True, db_index=True)
    digests = ArrayField(models.BinaryField(), default=list)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"line {self.number}"


class SuppressedForm(models.Model):
    """That some identifiers of a type are suppressed by a hash only: messages are hashed for those types alone.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    identifier_type = models.SlugField(max_length=64)
    form = models.CharField(max_length=8)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["identifier_type", "form"], name="consent_suppressedform_once")]

    def __str__(self) -> str:
        return f"{self.identifier_type} {self.form}"


class PrivacyRequest(models.Model):
    """A data subject's request. `identities` and `closure` are emptied when an erasure completes.

    `closure` is the sealed list of everything that names the person, kept while an erasure runs so that it can
    go on after a crash. `before` holds what each store held when it began. `shared` holds the digests (hexadecimal) of
    identifiers that an officer found to be others' too: erasure does not suppress them. `paused_days` is how long the
    clock stood still for a question about the identity (since `identity_asked_at`, while one is open). What a person
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
        OPT_OUT = "opt_out"

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
