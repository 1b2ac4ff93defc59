"""The versions of the identity rules, and the runs that try them or put them into practice."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class RulesVersion(models.Model):
    """One version of the identity rules as a whole; it never changes. `IdentitySettings` names the one in force.

    Personal data: none.
    """

    objects: "models.Manager[RulesVersion]"

    version = models.PositiveIntegerField(primary_key=True)
    definition = models.JSONField()
    note = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"identity rules version {self.version}"


class RulesRun(models.Model):
    """Trying rules on what is there (a dry run), or putting them into practice; steps are done by a job.

    `before` and `after` are definitions; `counts` holds merge, split, refuse, quarantine, lift, and what was examined.

    Personal data: none in this row.
    """

    objects: "models.Manager[RulesRun]"

    class Kind(models.TextChoices):
        DRY = "dry"
        APPLY = "apply"

    class Status(models.TextChoices):
        SELECTING = "selecting"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SELECTING)
    version = models.PositiveIntegerField()
    before = models.JSONField()
    after = models.JSONField()
    position = models.JSONField(default=dict)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    chunk = models.PositiveIntegerField(default=200)
    busy_ms = models.PositiveIntegerField(default=0)
    longest_ms = models.PositiveIntegerField(default=0)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} run {self.pk} of identity rules"


class RulesRunProfile(models.Model):
    """A profile that a run has still to look at; deleted once it has.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    objects: "models.Manager[RulesRunProfile]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="waiting", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "profile_id"], name="profiles_rulesrunprofile_once")]

    def __str__(self) -> str:
        return f"profile {self.profile_id} of run {self.run_id}"


class RulesRunValue(models.Model):
    """A value whose standing a run changes: it would be quarantined, lifted from quarantine, or blocked.

    Personal data: pseudonymous id of an identifier — erasure deletes the row.
    """

    class Change(models.IntegerChoices):
        QUARANTINE = 1
        LIFT = 2
        BLOCK = 3

    objects: "models.Manager[RulesRunValue]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="values", db_index=False)
    identifier_id = models.BigIntegerField(db_index=True)
    change = models.SmallIntegerField(choices=Change.choices)
    asserted_by = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "identifier_id"], name="profiles_rulesrunvalue_once")]

    def __str__(self) -> str:
        return f"value {self.identifier_id} of run {self.run_id}"


class RulesExample(models.Model):
    """One merge, split or refusal that a run found or made, with the public ids of the profiles concerned.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    objects: "models.Manager[RulesExample]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="examples")
    kind = models.CharField(max_length=10)
    profile_uuids = ArrayField(models.UUIDField())
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [GinIndex(fields=["profile_uuids"], name="profiles_rulesexample_profiles", fastupdate=False)]

    def __str__(self) -> str:
        return f"example {self.pk} of run {self.run_id}"


class IdentitySettings(models.Model):
    """The single row that names the version of the rules in force, and from what on a profile is a mega-profile.

    Personal data: none.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.IntegerField(default=1)
    mega_identifiers = models.PositiveIntegerField(default=100)
    mega_events = models.PositiveIntegerField(default=100_000)
    # Whether values that were shared before the limits were heeded have been looked for.
    sharing_counted = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="profiles_identitysettings_single")]

    def __str__(self) -> str:
        return f"identity settings version {self.version}"
