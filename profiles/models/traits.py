"""Which statement about a trait is believed: rules of survivorship, corrections by hand."""

from django.db import models

from profiles.models.people import Profile


class TraitRules(models.Model):
    """A version of the rules of survivorship, which of several statements about a trait is believed; the last counts.

    `definition` is in the form of `survivorship.rules.read_definition`.

    Personal data: none.
    """

    objects: "models.Manager[TraitRules]"

    version = models.PositiveIntegerField(primary_key=True)
    definition = models.JSONField()
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"trait rules version {self.version}"


class Correction(models.Model):
    """A trait put right by hand: it stands above every message until it is lifted.

    `statement` is `{"value", "reason"}`; the value null keeps the trait empty. `identifier_id` is the strongest
    identifier that the profile had: with it the correction moves when profiles are split.

    Personal data: the trait — erasure deletes the row.
    """

    objects: "models.Manager[Correction]"

    id = models.BigAutoField(primary_key=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="corrections", db_constraint=False)
    identifier_id = models.BigIntegerField(db_index=True)
    trait = models.TextField()
    # One column, because erasure takes mentions of others out of JSON.
    statement = models.JSONField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"correction {self.pk}"
