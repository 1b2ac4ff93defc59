"""Messages on their way: accepted, waiting, in the archive, set aside, held, replayed; and their outcomes."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion.models.sources import Source


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
