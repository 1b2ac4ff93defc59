"""Who is told of decisions."""

from django.db.models import Count, QuerySet

from consent.errors import UnknownWebhook
from consent.webhook_models import ConsentWebhook


def list_webhooks() -> QuerySet[ConsentWebhook]:
    """Return all webhooks with how many decisions each has still to be told (`waiting`); the caller orders them."""
    return ConsentWebhook.objects.annotate(waiting=Count("deliveries"))


def get_webhook(*, webhook_id: int) -> ConsentWebhook:
    """Return a webhook of `list_webhooks`.

    Raises
    ------
    UnknownWebhook
        If there is none with this id.
    """
    found = list_webhooks().filter(pk=webhook_id).first()
    if found is None:
        raise UnknownWebhook
    return found
