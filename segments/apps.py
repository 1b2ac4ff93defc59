"""Django's entry to the app."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    """Audiences."""

    name = "segments"
    verbose_name = "Segments"
    default_auto_field = "django.db.models.BigAutoField"
