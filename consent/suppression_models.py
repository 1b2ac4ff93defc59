"""The tables of what must not come back: suppressions, and the ledger of erasures as this database knows it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Suppression(models.Model):
    """A keyed digest of an identifier that must not come back (`cdp.core.digests`, all 32 bytes).

    `form` ``raw``: of the identifier; else (``sha256``, ``sha1``, ``md5``) of its hash, where only that was given.
    `stands_for` is the hashed one for which a known identifier was suppressed: it goes with it.

    Personal data: keyed digest only — it stays after erasure, for that is its use.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(unique=True)
    identifier_type = models.SlugField(max_length=64)
    form = models.CharField(max_length=8, default="raw", db_default="raw")
    stands_for = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="known")
    reason = models.TextField()
    request = models.ForeignKey(
        "consent.PrivacyRequest", null=True, on_delete=models.SET_NULL, related_name="suppressions"
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"suppression {self.pk}"


class LedgerEntry(models.Model):
    """A line of the ledger of erasures that this database knows of (`consent.services.erasure_ledger`).

    Personal data: keyed digests only — they stay, as suppressions do.
    """

    class Kind(models.TextChoices):
        BEGUN = "begun"
        ERASED = "erased"
        SUPPRESSED = "suppressed"
        LIFTED = "lifted"

    number = models.BigIntegerField(primary_key=True)
    mac = models.BinaryField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    request_id = models.UUIDField(null=True, db_index=True)
    digests = ArrayField(models.BinaryField(), default=list)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"line {self.number}"


class SuppressedForm(models.Model):
    """That some identifiers of a type are suppressed by a hash only: messages are hashed for those types alone.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    identifier_type = models.SlugField(max_length=64)
    form = models.CharField(max_length=8)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["identifier_type", "form"], name="consent_suppressedform_once")]

    def __str__(self) -> str:
        return f"{self.identifier_type} {self.form}"
