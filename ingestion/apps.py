"""Django's entry to the app."""

from django.apps import AppConfig
from django.conf import settings

from cdp.core.registries import WorkStep, identifier_normalisers, source_keys, work_steps
from ingestion.spec.identifiers import normalise


class IngestionConfig(AppConfig):
    """Sources, collection, processing."""

    name = "ingestion"
    verbose_name = "Collection"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the apps below what an identifier looks like."""
        identifier_normalisers.append(lambda key, value: normalise(key, value, settings.CDP_PHONE_REGION))
        from ingestion.queries.sources import read_source_keys  # noqa: PLC0415 - models load after this module

        source_keys.append(read_source_keys)
        from ingestion.services.drain import count_inbox, process_inbox  # noqa: PLC0415

        work_steps.append(WorkStep("inbox", count_inbox, process_inbox))
