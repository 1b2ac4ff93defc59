"""Django's entry to the app."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """Consent and privacy requests."""

    name = "consent"
    verbose_name = "Consent and privacy"
    default_auto_field = "django.db.models.BigAutoField"
