"""Django's entry to the app."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Pages over several apps."""

    name = "cdp.site"
    label = "site"
    verbose_name = "Pages"
