"""Orders as they stand now, derived from events, and the rates that make their amounts comparable."""

from django.db import models


class OrderMessage(models.Model):
    """Which stored event speaks of which order: a track named as in `services.orders.ORDER_EVENTS`, with an order id.

    `order_id` is `profiles_order_id(properties)`, `event_id` and `occurred_at` are the event's key.

    Personal data: as for Order.
    """

    event_id = models.BigIntegerField(primary_key=True)
    occurred_at = models.DateTimeField()
    source_id = models.IntegerField()
    order_id = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["source_id", "order_id"], name="profiles_ordermessage_order")]

    def __str__(self) -> str:
        return f"order message {self.event_id}"


class Order(models.Model):
    """The order view (`$order`): the first `Order Completed` of a source and order id, with what followed it.

    Derived from stored events only, by `services.orders`: `id`, `profile_id`, `occurred_at` and `context` are those of
    that event; `properties` are brought up to date, `revenue` and `total` after cancellations and refunds. `converted`
    is the revenue in `base_currency`; None if there is no amount or no rate for it.

    Personal data: purchases — erasure deletes the row with the events that it comes from.
    """

    objects: "models.Manager[Order]"

    id = models.BigIntegerField(primary_key=True)
    profile_id = models.BigIntegerField()
    source_id = models.IntegerField()
    order_id = models.TextField()
    occurred_at = models.DateTimeField()
    currency = models.TextField()
    base_currency = models.TextField()
    revenue = models.DecimalField(max_digits=42, decimal_places=12, null=True)
    converted = models.DecimalField(max_digits=42, decimal_places=12, null=True)
    properties = models.JSONField()
    context = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "order_id"], name="profiles_order_once")]
        indexes = [models.Index(fields=["profile_id", "occurred_at"], name="profiles_order_of_profile")]

    def __str__(self) -> str:
        return f"order {self.id}"


class ExchangeRate(models.Model):
    """What one unit of a currency was worth in the installation's currency from a day on, until the next row.

    Personal data: none.
    """

    objects: "models.Manager[ExchangeRate]"

    id = models.BigAutoField(primary_key=True)
    currency = models.CharField(max_length=3)
    valid_on = models.DateField()
    rate = models.DecimalField(max_digits=24, decimal_places=12)
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["currency", "valid_on"], name="profiles_exchangerate_day"),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="profiles_exchangerate_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.valid_on}"
