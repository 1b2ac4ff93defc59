"""Who is told of each decision."""

from django.db import models


class ConsentWebhook(models.Model):
    """A server of others that is told of decisions (Standard Webhooks); `purposes` empty: of all.

    The row owns the progress: after a failure nothing is sent before `retry_at`, in the order of the decisions.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    url = models.URLField(max_length=500)
    purposes = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    secret_sealed = models.BinaryField()
    failures = models.IntegerField(default=0)
    problem = models.TextField(blank=True)
    retry_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"consent webhook {self.pk}"


class ConsentDelivery(models.Model):
    """A decision that a webhook has still to be told of; delivered ones are deleted.

    Personal data: none — the number of a decision only; where that is erased, nothing is sent.
    """

    id = models.BigAutoField(primary_key=True)
    webhook = models.ForeignKey(ConsentWebhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    decision_id = models.BigIntegerField()
    message_id = models.CharField(max_length=40)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["webhook", "id"], name="consent_delivery_next")]

    def __str__(self) -> str:
        return f"delivery {self.pk}"
