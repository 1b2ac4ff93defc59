"""Which identifiers belong together, and the ledgers of what was merged and what was not."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from profiles.models.people import Identifier, IdentifierType, Profile


class Merge(models.Model):
    """A row of the merge ledger: which public id survived, which was absorbed, why, and whether it was undone.

    `absorbed_profile_id` is the internal id that the absorbed side had. One of the two internal ids was dropped
    (`AbsorbedId.dropped_id`); an undo gives it back to the side that had it. While `state` is pending, events are being
    moved: by the merge, or by its undo if `undone_at` is set.

    Personal data: pseudonymous ids and the message id — erasure deletes the row.
    """

    class Kind(models.IntegerChoices):
        RULE = 1
        ALIAS = 2
        STEWARD = 3
        MODEL = 4
        IMPORT = 5

    class State(models.IntegerChoices):
        DONE = 1
        PENDING = 2

    id = models.BigAutoField(primary_key=True)
    survivor_uuid = models.UUIDField(db_index=True)
    absorbed_uuid = models.UUIDField(db_index=True)
    kind = models.SmallIntegerField(choices=Kind.choices)
    rule = models.TextField(blank=True)
    message_id = models.TextField(blank=True)
    score = models.FloatField(null=True, blank=True)
    actor = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)
    state = models.SmallIntegerField(choices=State.choices, default=State.DONE)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.TextField(blank=True, db_default="")
    absorbed_profile_id = models.BigIntegerField(null=True)
    absorbed_created_at = models.DateTimeField()
    absorbed_identifier_ids = ArrayField(models.BigIntegerField(), default=list)

    def __str__(self) -> str:
        return f"merge {self.pk}"


class AbsorbedId(models.Model):
    """A public id that was absorbed by a merge and goes on resolving to the survivor.

    `dropped_id` is the internal id that went: history written under it is still the person's.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    uuid = models.UUIDField(primary_key=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="absorbed_ids", db_constraint=False)
    dropped_id = models.BigIntegerField()
    merge = models.ForeignKey("Merge", on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.uuid)


class Edge(models.Model):
    """A statement that two identifiers belong to one person. A profile is a component over the active edges.

    A blocked edge is one that was taken back, until somebody lifts it; `blocked_for` tells by which act. One of the
    kind `APART` was never active: it keeps the whole profiles of its two identifiers apart.
    A refused one was stated and left out, by a limit or because a value is quarantined: it counts for sharing limits,
    and rules that change are tried on it.

    Personal data: links between identifiers — erasure deletes the row.
    """

    APART = 6

    class State(models.IntegerChoices):
        ACTIVE = 1
        RETRACTED = 2
        BLOCKED = 3
        REFUSED = 4

    id = models.BigAutoField(primary_key=True)
    a = models.BigIntegerField()
    b = models.BigIntegerField(db_index=True)
    kind = models.SmallIntegerField()
    rule = models.TextField()
    message_id = models.TextField(blank=True)
    source_id = models.IntegerField()
    created_at = models.DateTimeField()
    state = models.SmallIntegerField(choices=State.choices, default=State.ACTIVE)
    merge = models.ForeignKey("Merge", null=True, on_delete=models.SET_NULL, related_name="edges", db_constraint=False)
    blocked_at = models.DateTimeField(null=True)
    blocked_by = models.TextField(blank=True, db_default="")
    blocked_for = models.TextField(blank=True, db_default="")
    block_reason = models.TextField(blank=True, db_default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["a", "b"], name="profiles_edge_pair")]
        indexes = [
            models.Index(fields=["a"], name="profiles_edge_blocked_a", condition=models.Q(state=3)),
            models.Index(fields=["a"], name="profiles_edge_apart", condition=models.Q(state=3, kind=6)),
            models.Index(fields=["a", "b"], name="profiles_edge_refused", condition=models.Q(state=4)),
        ]

    def __str__(self) -> str:
        return f"edge {self.pk}"


class Refusal(models.Model):
    """A row of the ledger for what was not joined: which limit or rule, and which message asked for it.

    `value_limit` is how many values of the type a profile might hold then, where that was the reason.

    Personal data: the identifier that was left out — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    profile_uuids = ArrayField(models.UUIDField())
    identifier_type = models.TextField()
    identifier_value = models.TextField()
    reason = models.TextField()
    rule = models.TextField(blank=True)
    message_id = models.TextField(blank=True)
    source_id = models.IntegerField()
    created_at = models.DateTimeField(db_index=True)
    value_limit = models.IntegerField(null=True)

    class Meta:
        indexes = [GinIndex(fields=["profile_uuids"], name="profiles_refusal_profiles", fastupdate=False)]

    def __str__(self) -> str:
        return f"refusal {self.pk}"


class QuarantinedValue(models.Model):
    """An identifier that joins nothing: too many accounts or records asserted it, or a rule blocks its value by now.

    `separated_at` is when what it had joined was taken apart. A row with `lifted_at` keeps the value out of quarantine.

    Personal data: pseudonymous id of an identifier — erasure deletes the row with the identifier.
    """

    class Reason(models.TextChoices):
        SHARED = "shared"
        BLOCKED = "blocked"

    objects: "models.Manager[QuarantinedValue]"

    identifier = models.OneToOneField(
        Identifier, on_delete=models.CASCADE, primary_key=True, related_name="quarantine", db_constraint=False
    )
    type = models.ForeignKey(IdentifierType, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason.choices, default=Reason.SHARED, db_default=Reason.SHARED)
    asserted_by = models.PositiveIntegerField(default=0, db_default=0)
    sharing_limit = models.PositiveIntegerField(null=True, blank=True)
    quarantined_at = models.DateTimeField()
    actor = models.TextField(default="system")
    separated_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["identifier"],
                name="profiles_quarantine_waiting",
                condition=models.Q(separated_at__isnull=True, lifted_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"quarantine of identifier {self.pk}"


class MegaProfile(models.Model):
    """A profile with so many identifiers or events that it is hardly one person; found anew each hour.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    objects: "models.Manager[MegaProfile]"

    profile_id = models.BigIntegerField(primary_key=True)
    identifiers = models.PositiveIntegerField()
    events = models.PositiveBigIntegerField()
    found_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"mega-profile {self.profile_id}"
