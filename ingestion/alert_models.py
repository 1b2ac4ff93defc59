"""The tables of alerts: what is watched, what was found, whom it is told."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingestion.alerting.detect import KINDS, SENSITIVITIES
from ingestion.alerting.episodes import OPEN, PENDING, RESOLVED


class AlertCheck(models.Model):
    """The single row of the watch: when it looked last, up to which hour it judged fields, when it told somebody.

    Personal data: none.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    checked_at = models.DateTimeField(null=True)
    fields_until = models.DateTimeField(null=True)
    noticed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="ingestion_alertcheck_single")]

    def __str__(self) -> str:
        return "the watch"


class SourceHour(models.Model):
    """How often a source was looked at in an hour, and how often something new had come since the look before.

    `seen` is how many messages of the hour the last look counted.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    hour = models.DateTimeField()
    looks = models.IntegerField(default=0)
    news = models.IntegerField(default=0)
    seen = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "hour"], name="ingestion_sourcehour_once")]

    def __str__(self) -> str:
        return f"{self.hour} of source {self.source_id}"


class EventHour(models.Model):
    """How many messages of an event came in an hour, by what discovery counted between two looks.

    Personal data: none by construction, as names could be values — erasure deletes rows that mention the person.
    """

    id = models.BigAutoField(primary_key=True)
    source_id = models.IntegerField()
    type = models.CharField(max_length=10)
    event = models.TextField()
    hour = models.DateTimeField()
    volume = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source_id", "type", "event", "hour"], name="ingestion_eventhour_once")
        ]
        indexes = [models.Index(fields=["hour"], name="ingestion_eventhour_hour")]

    def __str__(self) -> str:
        return f"{self.volume} of {self.event or self.type}"


class EventMeter(models.Model):
    """What discovery had counted of an event at the last look; the key is that of its row.

    Personal data: none.
    """

    discovered_id = models.BigIntegerField(primary_key=True)
    volume = models.BigIntegerField()

    def __str__(self) -> str:
        return f"meter {self.discovered_id}"


class AlertChannel(models.Model):
    """Whom alerts are told: an e-mail address, or a URL that gets signed webhooks (its secret is kept sealed).

    Personal data: e-mail of staff — deleted with the channel.
    """

    class Kind(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.TextField()
    secret_sealed = models.BinaryField(null=True)
    enabled = models.BooleanField(default=True)
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "target"], name="ingestion_alertchannel_once")]

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """Whether a kind of alert is on, how sensitive it is, and whom it is told; without a source: for all sources.

    What has no rule is on, with normal sensitivity, for everybody. `channels` empty: all channels.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    source = models.ForeignKey("ingestion.Source", null=True, on_delete=models.CASCADE, related_name="alert_rules")
    kind = models.CharField(max_length=10, choices=[(kind, kind) for kind in KINDS])
    enabled = models.BooleanField(default=True)
    sensitivity = models.CharField(max_length=10, choices=[(name, name) for name in SENSITIVITIES], default="normal")
    channels = ArrayField(models.IntegerField(), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "kind"], name="ingestion_alertrule_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.source or 'all sources'}"


class AlertSubject(models.Model):
    """What an alert is about. `source` None: all sources together; `type` ``""``: the source as a whole.

    Personal data: as for Alert.
    """

    source = models.ForeignKey("ingestion.Source", null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=[(kind, kind) for kind in KINDS])
    type = models.CharField(max_length=10, blank=True)
    event = models.TextField(blank=True)
    field = models.TextField(blank=True)

    class Meta:
        abstract = True


class Alert(AlertSubject):
    """Something unusual, from the first bad look until it has been calm for a while.

    `observed` and `expected` are messages, minutes (silence where a source says how often it sends) or shares.
    `announced` is what people were told of it last.

    Personal data: names of events and fields, the reason of whoever acknowledged it — erasure deletes what mentions the
    person.
    """

    class State(models.TextChoices):
        PENDING = PENDING
        OPEN = OPEN
        RESOLVED = RESOLVED

    id = models.BigAutoField(primary_key=True)
    state = models.CharField(max_length=10, choices=State.choices)
    since = models.DateTimeField()
    last_bad_at = models.DateTimeField()
    last_said_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    calm_since = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    observed = models.FloatField()
    expected = models.FloatField()
    basis = models.CharField(max_length=10)
    announced = models.CharField(max_length=10, blank=True)
    announced_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.TextField(blank=True)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "kind", "type", "event", "field"],
                condition=models.Q(state__in=[PENDING, OPEN]),
                name="ingestion_alert_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["state", "id"], name="ingestion_alert_state")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.event or self.type or self.source or 'all sources'}"


class AlertMute(AlertSubject):
    """A subject of which nobody wants to be told, until a time or for good, and why.

    Personal data: as for Alert.
    """

    id = models.BigAutoField(primary_key=True)
    until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300)
    actor = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "kind", "type", "event", "field"],
                name="ingestion_alertmute_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"mute of {self.kind} of {self.event or self.type or self.source or 'all sources'}"


class AlertNotice(models.Model):
    """One notice to one channel: what it says, and how its delivery goes. A mail is delivered once it is in the outbox.

    Personal data: names of events and fields — rows are deleted after 30 days, erasure deletes those that mention the
    person.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.BigAutoField(primary_key=True)
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="notices")
    webhook_id = models.TextField()
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="ingestion_alertnotice_created")]

    def __str__(self) -> str:
        return f"notice {self.pk}"
