"""The tables of what leaves the house: exports, destinations, deliveries."""

from django.db import models


class ExportSchedule(models.Model):
    """An export that is made again and again. `every` and what belongs to it are in the time zone `timezone`.

    `actor` is whose rights count when a file is made: without them the schedule stops, and says so in `fault`.

    Personal data: none.
    """

    class Every(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=200)
    segment = models.ForeignKey("segments.Segment", on_delete=models.CASCADE, related_name="export_schedules")
    purpose = models.SlugField(max_length=64)
    channel = models.SlugField(max_length=32, blank=True)
    recipient = models.CharField(max_length=200)
    format = models.CharField(max_length=8)
    preset = models.SlugField(max_length=40, blank=True)
    columns = models.JSONField(default=list)
    every = models.CharField(max_length=6, choices=Every.choices, default=Every.DAY)
    weekday = models.SmallIntegerField(default=0)
    day = models.SmallIntegerField(default=1)
    at = models.TimeField()
    timezone = models.CharField(max_length=64)
    enabled = models.BooleanField(default=True)
    fault = models.TextField(blank=True)
    next_at = models.DateTimeField(null=True, db_index=True)
    actor = models.TextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Export(models.Model):
    """A file made from the members of a segment; the rows are in its parts, sealed, until `expires_at`.

    `masked` tells that whoever asked may not see personal data: values that are no digests are hidden. `kinds` holds,
    for each column, which kinds of values were met, so that a Parquet file gets types. `skipped` counts by reason who
    was left out.

    Personal data: none in this row.
    """

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        EXPIRED = "expired"

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey("segments.Segment", null=True, on_delete=models.SET_NULL, related_name="exports")
    segment_key = models.SlugField(max_length=64)
    schedule = models.ForeignKey(ExportSchedule, null=True, on_delete=models.SET_NULL, related_name="exports")
    purpose = models.SlugField(max_length=64)
    channel = models.SlugField(max_length=32, blank=True)
    recipient = models.CharField(max_length=200)
    format = models.CharField(max_length=8, choices=Format.choices, default=Format.CSV)
    preset = models.SlugField(max_length=40, blank=True)
    columns = models.JSONField(default=list)
    kinds = models.JSONField(default=dict)
    masked = models.BooleanField(default=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.RUNNING)
    fault = models.TextField(blank=True)
    job_id = models.BigIntegerField(null=True)
    last_profile_id = models.BigIntegerField(default=0)
    members = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    skipped = models.JSONField(default=dict)
    downloads = models.IntegerField(default=0)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"export {self.pk} of {self.segment_key}"


class ExportPart(models.Model):
    """Some rows of an export in a sealed file, in the order of their profiles.

    Personal data: what was exported, sealed — erasure writes the part again without the person.
    """

    id = models.BigAutoField(primary_key=True)
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    first_profile_id = models.BigIntegerField()
    last_profile_id = models.BigIntegerField()
    rows = models.IntegerField()
    stored = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["first_profile_id", "last_profile_id"], name="segments_exportpart_range")]

    def __str__(self) -> str:
        return f"part {self.pk}"


class Destination(models.Model):
    """A receiver that is told who enters and leaves a segment.

    `request` and `removal` are templates (`segments.sending.templates`); a webhook has a URL in `request` alone.
    `sealed` holds the signing secrets and what templates call secrets. `retry_at` in the future means that the line
    rests after `failures` in a row; `window` is how many deliveries were last claimed at once, `people_per_request` how
    many may go in one request.

    Personal data: none.
    """

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        REQUEST = "request"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    recipient = models.CharField(max_length=200)
    segment = models.ForeignKey("segments.Segment", on_delete=models.CASCADE, related_name="destinations")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    purpose = models.SlugField(max_length=64)
    channel = models.SlugField(max_length=32)
    columns = models.JSONField(default=list)
    request = models.JSONField(default=dict)
    removal = models.JSONField(null=True)
    sealed = models.BinaryField()
    secret_names = models.JSONField(default=list)
    send_entered = models.BooleanField(default=True)
    send_left = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    disabled_reason = models.TextField(blank=True)
    failures = models.IntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    window = models.IntegerField(default=8)
    people_per_request = models.SmallIntegerField(default=1, db_default=1)
    last_at = models.DateTimeField(null=True)
    last_status = models.IntegerField(null=True)
    last_reason = models.TextField(blank=True)
    reconciled_at = models.DateTimeField(null=True)
    expired_until = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return self.name


class DeliveryMark(models.Model):
    """Somebody about whom a destination may have to be told something: written by triggers, taken within a second.

    A plain row without any unique constraint, so that whoever changes memberships or consents never waits for it.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="+")
    profile_id = models.BigIntegerField(db_index=True)
    full = models.BooleanField(default=False, db_default=False)

    def __str__(self) -> str:
        return f"mark {self.pk}"


class Delivery(models.Model):
    """What waits to be sent: at most one row for each destination and person. What it says is decided when it is sent.

    `generation` grows with each change, so that what changed while a request was under way is looked at again. Under
    way, `due_at` is when the attempt counts as lost. Without `profile_id` it is the removal of somebody who is no
    longer there, known by `sent_as` alone.

    Personal data: pseudonymous id; sealed values for a removal — erasure deletes the row, and leaves a sealed removal
    until the receiver was told.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        DEAD = "dead"

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    profile_id = models.BigIntegerField(null=True, db_index=True)
    generation = models.IntegerField(default=1)
    full = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    kind = models.CharField(max_length=8, blank=True)
    sent_as = models.BinaryField(null=True)
    attempts = models.SmallIntegerField(default=0)
    reason = models.TextField(blank=True)
    due_at = models.DateTimeField()
    queued_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "profile_id"], name="segments_delivery_once")]
        indexes = [
            models.Index(
                fields=["destination", "due_at", "id"], name="segments_delivery_due", condition=~models.Q(state="dead")
            )
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class Activated(models.Model):
    """Somebody of whom a destination has been told, or may have been: `confirmed_at` is null until it said so.

    `sent_as` are the values that were sent, sealed: with them the receiver is told when the person leaves, and
    `profile_uuid` is the public id that it knows.

    Personal data: pseudonymous ids, sealed values — erasure deletes the row after it made a removal of it.
    """

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="activated", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    profile_uuid = models.UUIDField()
    sent_as = models.BinaryField()
    claimed_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "profile_id"], name="segments_activated_once")]

    def __str__(self) -> str:
        return f"activated {self.pk}"


class Removal(models.Model):
    """A removal that an erasure left at a destination, and whether the receiver has taken it.

    The delivery itself bears no id: this row is how the erasure learns when it may be called completed.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    request_id = models.UUIDField(db_index=True)
    destination_key = models.SlugField(max_length=64)
    recipient = models.CharField(max_length=200)
    delivery_id = models.BigIntegerField(unique=True)
    confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"removal {self.pk}"


class DeliveryRecord(models.Model):
    """A line of the delivery log, kept `CDP_DELIVERY_LOG_DAYS`: what was sent about whom, or why it was not.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    class Outcome(models.TextChoices):
        SENT = "sent"
        SKIPPED = "skipped"
        FAILED = "failed"
        DEAD = "dead"

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="records", db_index=False)
    delivery_id = models.BigIntegerField()
    profile_id = models.BigIntegerField(null=True, db_index=True)
    profile_uuid = models.UUIDField(null=True)
    kind = models.CharField(max_length=8, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    reason = models.TextField(blank=True)
    status = models.IntegerField(null=True)
    took_ms = models.IntegerField(null=True)
    attempt = models.SmallIntegerField(default=0)
    at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["destination", "id"], name="segments_record_recent"),
            models.Index(fields=["destination", "outcome", "id"], name="segments_record_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.pk}"


class DeliveryCount(models.Model):
    """How often something came of deliveries on a UTC day.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="counts", db_index=False)
    day = models.DateField()
    kind = models.CharField(max_length=8, blank=True)
    outcome = models.CharField(max_length=8)
    reason = models.TextField(blank=True)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["destination", "day", "kind", "outcome", "reason"], name="segments_deliverycount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome}"
