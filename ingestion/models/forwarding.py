"""Copies of what was accepted, for systems of others."""

from django.db import models

from ingestion.models.sources import Source


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
