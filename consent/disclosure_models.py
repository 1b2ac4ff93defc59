"""The register of disclosures: which data of whom went to which recipient, for what."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class DisclosureTerms(models.Model):
    """What many disclosures have in common: how, to whom, for what, which data, and by whose act.

    `recipient` is the organisation as people know it, `destination` the key of what was configured for it, if
    anything was. `fields` names the kinds of data (`email`, `trait:city`), never values; `digest` is that of all of it.

    Personal data: none.
    """

    class Kind(models.TextChoices):
        EXPORT = "export"
        DELIVERY = "delivery"
        REMOVAL = "removal"
        OTHER = "other"

    id = models.AutoField(primary_key=True)
    digest = models.BinaryField(unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    recipient = models.CharField(max_length=200)
    destination = models.CharField(max_length=64, blank=True)
    purpose = models.CharField(max_length=64)
    legal_basis = models.CharField(max_length=24)
    channel = models.CharField(max_length=32, blank=True)
    fields = ArrayField(models.TextField(), default=list)
    actor = models.TextField(blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} to {self.recipient}"


class Disclosure(models.Model):
    """Data of one person that was disclosed. Partitioned by month, kept `CDP_DISCLOSURE_DAYS` (migration 0005).

    `profile_id` is the internal id at the time: it is one of the person's ids after a merge too. `reference` names the
    export or delivery (`export:12`).

    Personal data: pseudonymous id, who received data — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("id", "at")
    id = models.BigIntegerField()
    at = models.DateTimeField()
    profile_id = models.BigIntegerField()
    terms = models.ForeignKey(DisclosureTerms, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    reference = models.TextField(blank=True)

    class Meta:
        managed = False
        db_table = "consent_disclosure"

    def __str__(self) -> str:
        return f"disclosure {self.id}"
