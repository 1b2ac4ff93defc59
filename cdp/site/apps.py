"""Django's entry to the app."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Pages over several apps."""

    name = "cdp.site"
    label = "site"
    verbose_name = "Pages"

    def ready(self) -> None:
        """Fill the registries. Imports wait until the models are loaded."""
        from cdp.core.registries import housekeeping  # noqa: PLC0415
        from cdp.site.self_check import run_self_check  # noqa: PLC0415

        housekeeping.append(run_self_check)
