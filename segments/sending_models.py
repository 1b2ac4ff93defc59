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
        CSV = "csv"
        PARQUET = "parquet"

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
