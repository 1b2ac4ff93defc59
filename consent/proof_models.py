"""What an erasure leaves as proof, what the law makes it keep, and who else has to be told."""

from django.db import models


class ErasureProof(models.Model):
    """How far an erasure is and what its search looked at, in numbers; the certificate is made from it.

    `control` is what the same search found before anything was deleted: a search that finds nothing there proves
    nothing afterwards. `looked` counts the places, `subject` what named the person, by kind.

    Personal data: none — counts only.
    """

    request_id = models.UUIDField(primary_key=True)
    stage = models.TextField(default="waiting")
    stores = models.JSONField(default=dict)
    subject = models.JSONField(default=dict)
    needles = models.IntegerField(default=0)
    forms = models.IntegerField(default=0)
    encodings = models.JSONField(default=list)
    control = models.JSONField(null=True)
    looked = models.JSONField(default=dict)
    found = models.JSONField(default=dict)
    staff = models.IntegerField(default=0)
    suppressed = models.IntegerField(default=0)
    shared = models.IntegerField(default=0)
    began_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True)
    searched_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"proof of {self.request_id}"


class LegalHold(models.Model):
    """A duty to keep: events of these names (empty: all of them) are withheld from erasure for so many days.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    legal_basis = models.CharField(max_length=200)
    event_names = models.JSONField(default=list)
    keep_days = models.PositiveIntegerField()
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class WithheldRow(models.Model):
    """A row that an erasure had to keep: sealed, taken out of use, deleted when its time is up.

    Personal data: one event, sealed — deleted at `until`, whatever else happens.
    """

    id = models.BigAutoField(primary_key=True)
    request_id = models.UUIDField(db_index=True)
    hold = models.ForeignKey(LegalHold, on_delete=models.PROTECT, related_name="rows")
    store = models.SlugField(max_length=64)
    row_id = models.BigIntegerField()
    sealed = models.BinaryField()
    until = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "row_id"], name="consent_withheld_once")]

    def __str__(self) -> str:
        return f"withheld row {self.pk}"


class RecipientAddress(models.Model):
    """Where a recipient of disclosures is told of erasures: by a signed webhook (Standard Webhooks), or by OpenDSR.

    For OpenDSR `url` is its base address with the version (``https://opendsr.example.com/v2``), `login_sealed` the
    value of the header Authorization, `domain` what the processor calls itself, and `certificate` the PEM by which it
    signs, as last fetched.

    Personal data: none.
    """

    class Protocol(models.TextChoices):
        WEBHOOK = "webhook", "Signed webhook"
        OPENDSR = "opendsr", "OpenDSR"

    id = models.AutoField(primary_key=True)
    recipient = models.CharField(max_length=200, unique=True)
    url = models.URLField(max_length=500)
    protocol = models.CharField(max_length=8, choices=Protocol.choices, default=Protocol.WEBHOOK)
    secret_sealed = models.BinaryField()
    login_sealed = models.BinaryField(null=True)
    domain = models.CharField(max_length=253, blank=True)
    certificate = models.TextField(blank=True)
    fetched_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.recipient


class RecipientNotice(models.Model):
    """One recipient of one erasure and whether it knows.

    One that got people through a destination has a row of its own for it, by the destination's key: that row follows
    the removal there (`consent.services.removals`). A processor that is asked by OpenDSR gets `subject_request_id`, and
    says itself when it is done, by `due_at`. `answer` is why one that has not confirmed anything need not be waited
    for.

    Personal data: the person's identifiers, sealed — deleted once the recipient was told, or with the last attempt.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        IN_PROGRESS = "in_progress"
        COMPLETED = "completed"
        SKIPPED = "skipped"
        FAILED = "failed"

    class Answer(models.TextChoices):
        # The two exceptions of GDPR Art. 19, which an officer records.
        IMPOSSIBLE = "impossible", "Telling them is impossible"
        DISPROPORTIONATE = "disproportionate", "Telling them would be a disproportionate effort"
        # Of requests that were completed before removals were followed.
        REMOVAL = "removal", "Its destination is sent a removal."
        IN_HOUSE = "in_house", "The file stayed in the house: whoever exported it deletes their copy."

    id = models.BigAutoField(primary_key=True)
    request_id = models.UUIDField()
    recipient = models.CharField(max_length=200)
    destination = models.CharField(max_length=64, blank=True, default="", db_default="")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    status_message = models.TextField(blank=True)
    answer = models.CharField(max_length=16, choices=Answer.choices, blank=True, default="", db_default="")
    body_sealed = models.BinaryField(null=True)
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    subject_request_id = models.UUIDField(null=True, unique=True)
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request_id", "recipient", "destination"], name="consent_notice_recipient")
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"
