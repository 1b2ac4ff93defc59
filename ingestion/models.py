"""The tables of collection: sources, the inbox, and the outcome of every message."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion import alert_models, reconciliation_models  # noqa: F401 - so that Django finds them


class Source(models.Model):
    """Where messages come from. `write_key_sealed` is readable by the product; `write_key_digest` finds it.

    `owner`, `purpose` and `expected_every_minutes` are for the inventory; None expects nothing.

    Personal data: who looks after it, a member of staff — erasure of customers leaves it.
    """

    class Kind(models.TextChoices):
        SERVER = "server"
        BROWSER = "browser"
        MOBILE = "mobile"
        IMPORT = "import"

    class IpStorage(models.TextChoices):
        """How much of the sender's address is kept; of a server's messages, what the server itself sent."""

        NONE = "none"
        TRUNCATED = "truncated"
        FULL = "full"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    write_key_digest = models.BinaryField(unique=True)
    write_key_sealed = models.BinaryField()
    required_purpose = models.SlugField(max_length=64, blank=True)
    hold_days = models.PositiveSmallIntegerField(default=30)
    max_event_bytes = models.PositiveIntegerField(default=32 * 1024)
    ip_storage = models.CharField(max_length=10, choices=IpStorage.choices, default=IpStorage.TRUNCATED)
    enabled = models.BooleanField(default=True)
    owner = models.CharField(max_length=120, blank=True, default="", db_default="")
    purpose = models.CharField(max_length=300, blank=True, default="", db_default="")
    expected_every_minutes = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    # The versions in force (`TreatmentVersion`); 0 is none. Read with the row, so that messages cost no look-up.
    transformations_version = models.PositiveIntegerField(default=0, db_default=0)
    plan_version = models.PositiveIntegerField(default=0, db_default=0)
    cleaning_version = models.PositiveIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return self.name

    @property
    def is_public(self) -> bool:
        """Tell whether anyone can read the key (browser, mobile)."""
        return self.kind in {self.Kind.BROWSER, self.Kind.MOBILE}


class TreatmentKind(models.TextChoices):
    """What a source does to its messages, in this order."""

    TRANSFORMATIONS = "transformations"
    PLAN = "plan"
    CLEANING = "cleaning"


class TreatmentVersion(models.Model):
    """One version of a source's transformations, tracking plan or cleaning; never changed once it is saved.

    The source's row names the version in force. Going back to an older one makes a new version of the same content.

    Personal data: what people wrote into tests and tables of values — erasure replaces the person's identifiers.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="treatments")
    kind = models.CharField(max_length=16, choices=TreatmentKind.choices)
    version = models.PositiveIntegerField()
    definition = models.JSONField()
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "kind", "version"], name="ingestion_treatmentversion_once"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="ingestion_treatmentversion_number"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"


class Finding(models.Model):
    """How often messages of an hour broke a rule of the plan or had no normal form: rows to be summed.

    `path` and `event` hold names only; what looks like a value is written as ``*``. `action` is what was done.

    Personal data: none by construction, as names could be values — erasure deletes rows that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    hour = models.DateTimeField()
    type = models.CharField(max_length=10)
    event = models.TextField()
    path = models.TextField()
    rule = models.TextField()
    action = models.CharField(max_length=10)
    count = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["source_id", "hour"], name="ingestion_finding_hour")]

    def __str__(self) -> str:
        return f"{self.count} of {self.rule}"


class Discovered(models.Model):
    """An event, or a property of one, that a source was seen to send; `property` ``""`` is the event itself.

    Volumes are estimated from samples, and a few seconds of them may be lost with a process. `examples` are shapes
    (`aaa@aaa.aa`, `9999-99-99`), never values.

    Personal data: none by construction, as names could be values — erasure deletes rows that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    type = models.CharField(max_length=10)
    event = models.TextField()
    property = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    volume = models.BigIntegerField()
    types = ArrayField(models.TextField(), default=list)
    examples = ArrayField(models.TextField(), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source_id", "type", "event", "property"], name="ingestion_discovered_once"
            ),
        ]

    def __str__(self) -> str:
        return self.property or self.event


class QualityCount(models.Model):
    """What was counted of accepted messages in an hour: of an event (`field` ``""``), or of one of its fields.

    Hours older than two days are folded into their day (UTC). A field's row has no `messages` of its own: those of its
    event count. `delays` are by bucket (`ingestion.quality.delays`), on rows of events only, and so are the ids.

    Personal data: none by construction, as names could be values — erasure deletes rows that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    hour = models.DateTimeField()
    type = models.CharField(max_length=10)
    event = models.TextField()
    field = models.TextField()
    messages = models.BigIntegerField()
    texts = models.BigIntegerField()
    numbers = models.BigIntegerField()
    booleans = models.BigIntegerField()
    lists = models.BigIntegerField()
    maps = models.BigIntegerField()
    empty = models.BigIntegerField()
    checked = models.BigIntegerField()
    broken = models.BigIntegerField()
    referred = models.BigIntegerField()
    unknown = models.BigIntegerField()
    first_id = models.BigIntegerField(null=True)
    last_id = models.BigIntegerField(null=True)
    delays = ArrayField(models.BigIntegerField(), null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source_id", "hour", "type", "event", "field"], name="ingestion_qualitycount_once"
            ),
        ]
        indexes = [models.Index(fields=["hour"], name="ingestion_qualitycount_hour")]

    def __str__(self) -> str:
        return f"{self.messages} of {self.field or self.event or self.type}"


class QualityAgreement(models.Model):
    """How often two sources said the same of a trait of the same person, and how often that was looked at, by day.

    Each comparison is counted for both sources: once with each of them as `source_id`.

    Personal data: none by construction, as names could be values — erasure deletes rows that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    other_id = models.IntegerField()
    hour = models.DateTimeField()
    trait = models.TextField()
    compared = models.BigIntegerField()
    agreed = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_id", "other_id", "hour", "trait"], name="ingestion_agreement_once"),
        ]
        indexes = [models.Index(fields=["hour"], name="ingestion_agreement_hour")]

    def __str__(self) -> str:
        return f"{self.agreed} of {self.compared}"


class QualityRule(models.Model):
    """What somebody asks of one field of a source: that it comes, its bounds, its values, where they come from.

    Personal data: what people wrote as allowed values — erasure takes the person's identifiers out of them.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="quality_rules")
    type = models.CharField(max_length=10)
    event = models.TextField(blank=True)
    field = models.TextField()
    is_required = models.BooleanField(default=False)
    minimum = models.FloatField(null=True)
    maximum = models.FloatField(null=True)
    allowed = ArrayField(models.TextField(), default=list)
    # Its values must have been seen in this field of this source's events.
    known_source = models.ForeignKey(Source, null=True, on_delete=models.CASCADE, related_name="+")
    known_type = models.CharField(max_length=10, blank=True)
    known_event = models.TextField(blank=True)
    known_field = models.TextField(blank=True)
    # Until what was sent before has been looked through, nothing is held against it.
    is_learned = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "type", "event", "field"], name="ingestion_qualityrule_once"),
        ]

    def __str__(self) -> str:
        return f"rule for {self.field}"


class KnownValue(models.Model):
    """A value that was seen where a rule's reference points, as a keyed digest: it cannot be read back.

    Personal data: a keyed digest, should the field hold an identifier — erasure deletes those of the person.
    """

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(QualityRule, on_delete=models.CASCADE, related_name="known_values", db_index=False)
    digest = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "digest"], name="ingestion_knownvalue_once")]

    def __str__(self) -> str:
        return f"known value {self.pk}"


class FedIdentifier(models.Model):
    """A kind of identifier that a source's messages come with, and when such a message was last looked at.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    type = models.TextField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "type"], name="ingestion_fedidentifier_once")]

    def __str__(self) -> str:
        return f"{self.type} of source {self.source_id}"


class QualityState(models.Model):
    """The single row that says how far messages have been measured: up to and including the id `after_id`.

    Personal data: none.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    after_id = models.BigIntegerField()
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="ingestion_qualitystate_single")]

    def __str__(self) -> str:
        return f"measured up to {self.after_id}"


class InboxEntry(models.Model):
    """One accepted request that waits for the processor: the inflated body as it came, and how many items it has.

    `endpoint` is the type that the path implies (`batch`, `track`, …, `merge`); `gpc` tells that the request came with
    the header of Global Privacy Control.

    Personal data: the messages — erasure waits until the inbox has been processed; rows live for seconds.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    received_at = models.DateTimeField()
    endpoint = models.CharField(max_length=10)
    items = models.IntegerField()
    body = models.BinaryField()
    ip = models.TextField(blank=True)
    user_agent = models.TextField(blank=True)
    attempts = models.SmallIntegerField(default=0)
    gpc = models.BooleanField(default=False, db_default=False)

    class Meta:
        db_table = "ingestion_inbox"

    def __str__(self) -> str:
        return f"inbox entry {self.pk}"


class Archived(models.Model):
    """Accepted messages as they were received, kept `CDP_ARCHIVE_DAYS`. Partitioned by `archived_at` (migration 0003).

    Item number k of `body` is the message, and the event, with the id `first_id` + k; the last one is `last_id`. An
    item that was taken out is null there, and its id is in `removed`. Only accepted messages are here: of a suppressed
    one nothing is kept, a held one is kept sealed, a quarantined one in the quarantine.

    Personal data: the messages — erasure takes the person's items out, and those that mention the person.
    """

    pk = models.CompositePrimaryKey("first_id", "archived_at")
    first_id = models.BigIntegerField()
    archived_at = models.DateTimeField()
    last_id = models.BigIntegerField()
    received_at = models.DateTimeField()
    source_id = models.IntegerField()
    endpoint = models.TextField()
    ip = models.TextField(blank=True)
    user_agent = models.TextField(blank=True)
    removed = ArrayField(models.BigIntegerField(), null=True)
    body = models.BinaryField()

    class Meta:
        managed = False
        db_table = "ingestion_archive"

    def __str__(self) -> str:
        return f"archived messages {self.first_id} to {self.last_id}"


class Outcome(models.IntegerChoices):
    """What became of a message."""

    ACCEPTED = 1, "accepted"
    DUPLICATE = 2, "duplicate"
    REJECTED = 3, "rejected"
    QUARANTINED = 4, "quarantined"
    SUPPRESSED = 5, "suppressed"
    HELD = 6, "held"


class Message(models.Model):
    """The outcome of one message, and the guard against duplicates (unpartitioned for that reason).

    `id` equals the event's id where the message was accepted; `occurred_at` finds the event's partition. A row that was
    rejected or quarantined gives way to a later, good message with the same id.

    Personal data: none after erasure — the row stays with outcome suppressed and the keyed hash only.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    message_hash = models.BinaryField()
    outcome = models.SmallIntegerField(choices=Outcome.choices)
    copies = models.IntegerField(default=1)
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    reason = models.TextField(default="")
    warnings = ArrayField(models.TextField(), null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_id", "message_hash"], name="ingestion_message_once"),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class OutcomeCount(models.Model):
    """Counts of outcomes, per source and hour, as rows to be summed: written without contention, compacted hourly.

    `source_id` null counts requests without a usable source; their `outcome` is rejected.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField(null=True)
    hour = models.DateTimeField()
    outcome = models.SmallIntegerField(choices=Outcome.choices)
    count = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["hour"], name="ingestion_outcomecount_hour")]

    def __str__(self) -> str:
        return f"{self.count} of outcome {self.outcome}"


class Quarantined(models.Model):
    """The payload of a quarantined item, so that nothing is dropped without a row that says why.

    `lookups` are the lookups of whatever identifiers could be read, so that erasure finds the row.

    Personal data: the message — erasure deletes the row.
    """

    row = models.OneToOneField(Message, primary_key=True, on_delete=models.CASCADE, related_name="quarantined")
    source_id = models.IntegerField()
    message_id = models.TextField()
    code = models.TextField()
    detail = models.TextField()
    payload = models.BinaryField()
    lookups = ArrayField(models.BinaryField(), default=list)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"quarantined message {self.pk}"


class Replay(models.Model):
    """One run over messages that are kept: quarantined ones, or accepted ones in the archive.

    It first counts what would change, then waits for somebody to run it. The row owns its progress: `after_id` is the
    message (or, in the archive, the request) up to which it has come, `last_id` where it ends.

    Personal data: none.
    """

    class Kind(models.TextChoices):
        QUARANTINE = "quarantine"
        ARCHIVE = "archive"

    class Status(models.TextChoices):
        COUNTING = "counting"
        COUNTED = "counted"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    source = models.ForeignKey(Source, null=True, on_delete=models.CASCADE, related_name="replays")
    code = models.TextField(blank=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.COUNTING)
    total = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    expected = models.JSONField(default=dict)
    results = models.JSONField(default=dict)
    after_id = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"replay {self.pk}"


class Held(models.Model):
    """A message that waits for consent, sealed (`cdp.core.secrets`), at most `hold_days`.

    Personal data: the message, encrypted — erasure deletes the row.
    """

    row = models.OneToOneField(Message, primary_key=True, on_delete=models.CASCADE, related_name="held")
    source_id = models.IntegerField()
    purpose = models.SlugField(max_length=64)
    lookups = ArrayField(models.BinaryField(), default=list)
    sealed = models.BinaryField()
    endpoint = models.CharField(max_length=10)
    received_at = models.DateTimeField()
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"held message {self.pk}"


class Import(models.Model):
    """A file on its way in, or come in: how it is read, what became of its rows, and how far it is.

    `rows` is the number of rows that are done: with each chunk of rows it is written in one transaction, so a crash
    resumes at the row where it stopped. `began_at` is the time of receipt of all its rows. `file` names the sealed file
    (`cdp.core.sealed_files`), `""` once it is deleted: when the import is over, or days after an upload that nobody
    started.

    Personal data: the file, sealed, until the import is over — erasure leaves it: the suppression refuses its rows.
    """

    class Status(models.TextChoices):
        UPLOADED = "uploaded"
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        UNDOING = "undoing"
        UNDONE = "undone"

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT, related_name="imports")
    status = models.CharField(max_length=10, choices=Status.choices)
    file = models.TextField(blank=True)
    file_name = models.TextField(blank=True)
    file_bytes = models.BigIntegerField(default=0)
    file_digest = models.BinaryField()
    shape = models.JSONField()
    types = models.JSONField(default=dict)
    mapping = models.JSONField(default=dict)
    rows = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    deleted = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    suppressed = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    actor = models.TextField()
    created_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    undone_rows = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="ingestion_import_unfinished",
                condition=models.Q(status__in=["uploaded", "queued", "running", "undoing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"


class RowOutcome(models.IntegerChoices):
    """What became of a row of a file."""

    CREATED = 1, "created"
    UPDATED = 2, "updated"
    UNCHANGED = 3, "unchanged"
    DELETED = 4, "deleted"
    REJECTED = 5, "rejected"
    SUPPRESSED = 6, "suppressed"
    DUPLICATE = 7, "duplicate"


class ImportChunk(models.Model):
    """What became of the rows of one chunk: a byte of `outcomes` for each, and the ids of the events that they made.

    Personal data: none in this row.
    """

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="chunks")
    first_row = models.BigIntegerField()
    outcomes = models.BinaryField()
    event_ids = ArrayField(models.BigIntegerField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "first_row"], name="ingestion_importchunk_place")]

    def __str__(self) -> str:
        return f"rows from {self.first_row} of import {self.owner_id}"


class RefusedRow(models.Model):
    """A row that was refused: why, and what it held, so that it can be corrected and sent again.

    Personal data: the row — erasure deletes what it held.
    """

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="refused_rows")
    number = models.BigIntegerField()
    code = models.TextField()
    detail = models.TextField()
    payload = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "number"], name="ingestion_refusedrow_place")]

    def __str__(self) -> str:
        return f"row {self.number} of import {self.owner_id}"


class Forwarding(models.Model):
    """Where a source's requests are also sent, on which basis, and how that goes.

    `write_key_sealed` is the key of the other system. What is in `purpose` must be allowed for a person, else their
    messages are not sent; ``""``: the operator stated that the other system is the same controller's. The counts begin
    with `since`. `retry_at` is the time before which nothing is sent, because the other system did not answer well.

    Personal data: none.
    """

    source = models.OneToOneField(Source, primary_key=True, on_delete=models.CASCADE, related_name="forwarding")
    url = models.TextField()
    write_key_sealed = models.BinaryField()
    purpose = models.SlugField(max_length=64, blank=True)
    enabled = models.BooleanField(default=True)
    since = models.DateTimeField()
    # No more copies are taken: `CDP_FORWARD_MAX_MB` of them wait.
    is_full = models.BooleanField(default=False)
    sent_requests = models.BigIntegerField(default=0)
    sent_messages = models.BigIntegerField(default=0)
    suppressed_messages = models.BigIntegerField(default=0)
    refused_messages = models.BigIntegerField(default=0)
    unreadable_messages = models.BigIntegerField(default=0)
    uncopied_requests = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_status = models.SmallIntegerField(null=True)
    last_reason = models.TextField(blank=True)
    # Up to this copy, those of suppressed people were taken out while the line is paused.
    examined_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"forwarding of source {self.pk}"


class ForwardedCopy(models.Model):
    """The copy of an accepted request that is still to be sent; deleted once it was.

    Written with the inbox row, in the same transaction. `queued_at` is when it was received, or put back into the line.
    With `dead_at` it is not tried any more, until somebody replays it: `reason` says why.

    Personal data: the messages — erasure takes the person's items out, and those that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    received_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    endpoint = models.CharField(max_length=10)
    items = models.IntegerField()
    size = models.IntegerField()
    ip = models.TextField(blank=True)
    user_agent = models.TextField(blank=True)
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    body = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(
                fields=["source_id", "id"],
                include=["size"],
                name="ingestion_forwardedcopy_line",
                condition=models.Q(dead_at=None),
            ),
            models.Index(
                fields=["source_id", "id"],
                include=["size"],
                name="ingestion_forwardedcopy_dead",
                condition=models.Q(dead_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"copy {self.pk}"
