"""Django's entry to the app."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """The kernel."""

    name = "cdp.core"
    label = "core"
    verbose_name = "Administration"
    default_auto_field = "django.db.models.BigAutoField"
