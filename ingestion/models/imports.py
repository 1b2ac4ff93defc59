"""Files that were imported, and what became of their rows."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion.models.sources import Source


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
