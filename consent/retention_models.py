"""How long data is kept, and the proof that it went."""

from django.db import models


class RetentionRule(models.Model):
    """A schedule for one type of event (`name` is the event's name, of other messages their type) or for one trait.

    Personal data: none.
    """

    class Kind(models.TextChoices):
        EVENT = "event"
        TRAIT = "trait"

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=5, choices=Kind.choices)
    name = models.CharField(max_length=255)
    keep_days = models.PositiveIntegerField()
    reason = models.CharField(max_length=300, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="consent_retention_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class RetentionRun(models.Model):
    """What one run of a schedule deleted, or would have: the proof that it is kept to.

    Personal data: none — counts only.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=5)
    name = models.CharField(max_length=255)
    keep_days = models.PositiveIntegerField()
    dry_run = models.BooleanField(default=False)
    cutoff = models.DateTimeField()
    rows = models.BigIntegerField()
    profiles = models.BigIntegerField()
    started_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"run {self.pk}"


class SelfCheck(models.Model):
    """What the scheduled check of the configuration found: one row a run.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    checked_at = models.DateTimeField(db_index=True)
    findings = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"self-check {self.pk}"


class RegisterEdition(models.Model):
    """A dated edition of the register of processing activities (GDPR Art. 30), as it was exported.

    Personal data: none — contacts of the organisation itself.
    """

    id = models.AutoField(primary_key=True)
    made_at = models.DateTimeField(db_index=True)
    actor = models.TextField()
    sha256 = models.CharField(max_length=64)
    document = models.JSONField()

    def __str__(self) -> str:
        return f"edition {self.pk}"
