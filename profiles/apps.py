"""Django's entry to the app."""

from django.apps import AppConfig

from cdp.core import registries


class ProfilesConfig(AppConfig):
    """Profiles, identifiers, events."""

    name = "profiles"
    verbose_name = "Profiles"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register stores of personal data, jobs and housekeeping."""
        # Models load after this module.
        from profiles.personal_data import Events, Groups, Ledgers, Orders, Profiles  # noqa: PLC0415
        from profiles.services.keeping import keep_partitions, prepare_partitions  # noqa: PLC0415
        from profiles.services.moving import move_split_events, repoint_events  # noqa: PLC0415
        from profiles.services.orders import JOB, compute_orders_again, prepare_orders  # noqa: PLC0415

        registries.personal_data.extend([Events(), Orders(), Groups(), Ledgers(), Profiles()])
        registries.job_handlers["profiles.repoint-events"] = repoint_events
        registries.job_handlers["profiles.move-split-events"] = move_split_events
        registries.job_handlers[JOB] = compute_orders_again
        registries.preparations.extend([prepare_partitions, prepare_orders])
        registries.housekeeping.append(keep_partitions)
