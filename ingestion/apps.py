"""Django's entry to the app."""

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Sources, collection, processing."""

    name = "ingestion"
    verbose_name = "Collection"
    default_auto_field = "django.db.models.BigAutoField"
