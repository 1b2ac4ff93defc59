"""Django's entry to the app."""

from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    """Profiles, identifiers, events."""

    name = "profiles"
    verbose_name = "Profiles"
    default_auto_field = "django.db.models.BigAutoField"
