"""The tables of how people are asked and answer: forms, links, banners, texts that were shown, files of decisions."""

from django.db import models


class SeenPreference(models.Model):
    """What the latest consent object of a source and anonymous id said on a purpose, to notice when it changes.

    `lookup` is the keyed digest of the anonymous id, or of the message's identifier where it had none.

    Personal data: choices under a keyed digest — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    lookup = models.BinaryField()
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.CASCADE, related_name="+")
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
    notice = models.ForeignKey("consent.Notice", null=True, on_delete=models.PROTECT, related_name="+")
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
