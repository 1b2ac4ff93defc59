"""Django's entry to the app."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """The kernel."""

    name = "cdp.core"
    label = "core"
    verbose_name = "Administration"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries. Imports wait until the models are loaded."""
        from cdp.core.api import schema  # noqa: F401, PLC0415 - registers itself with the OpenAPI generator
        from cdp.core.registries import WorkStep, housekeeping, work_steps  # noqa: PLC0415
        from cdp.core.services import jobs  # noqa: PLC0415
        from cdp.core.services.scrubbing import scrub_nightly  # noqa: PLC0415

        work_steps.append(WorkStep("jobs", jobs.count_due_jobs, jobs.run_jobs))
        housekeeping.append(scrub_nightly)
