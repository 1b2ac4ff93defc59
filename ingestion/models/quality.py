"""What was found in messages, and the counts and rules of their quality."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion.models.sources import Source


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
