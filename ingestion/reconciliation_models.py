"""The tables of reconciliation: two sources held against each other."""

from django.db import models


class Reconciliation(models.Model):
    """Two sources held against each other: who is in which, and where their fields disagree, as of `created_at`.

    A job goes through the profiles by id; the row owns the progress: `after_id` is the profile up to which it has come.
    `fields` maps the name of a trait to how many people of both sources have `same`, `form`, `different`, `only_a` and
    `only_b` values.

    Personal data: names of traits, which could be values — erasure takes names out that mention the person.
    """

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    a = models.ForeignKey("ingestion.Source", on_delete=models.CASCADE, related_name="+")
    b = models.ForeignKey("ingestion.Source", on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    total = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    after_id = models.BigIntegerField(default=0)
    last_id = models.BigIntegerField(default=0)
    both = models.BigIntegerField(default=0)
    only_a = models.BigIntegerField(default=0)
    only_b = models.BigIntegerField(default=0)
    fields = models.JSONField(default=dict)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(a=models.F("b")), name="ingestion_reconciliation_two_sources")
        ]

    def __str__(self) -> str:
        return f"reconciliation {self.pk}"


class ReconciledState(models.IntegerChoices):
    """What a row of a result says of a person."""

    ONLY_A = 1, "only_a"
    ONLY_B = 2, "only_b"
    DIFFERENT = 3, "different"
    FORM = 4, "form"


class ReconciledPerson(models.Model):
    """A person whom a reconciliation found in one source only, or in whose `field` the two disagree.

    `field` ``""``: the person as a whole. Values are not kept: pages read them from the events.

    Personal data: pseudonymous id, name of a trait — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    reconciliation = models.ForeignKey(Reconciliation, on_delete=models.CASCADE, related_name="people", db_index=False)
    field = models.TextField(blank=True)
    state = models.SmallIntegerField(choices=ReconciledState.choices)
    profile_id = models.BigIntegerField(db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["reconciliation", "field", "state", "id"], name="ingestion_reconciled_list"),
        ]

    def __str__(self) -> str:
        return f"profile {self.profile_id} in reconciliation {self.reconciliation_id}"
