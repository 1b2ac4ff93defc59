"""Django's entry to the app."""

from django.apps import AppConfig
from django.utils import timezone

from cdp.core import registries


class SegmentsConfig(AppConfig):
    """Audiences."""

    name = "segments"
    verbose_name = "Segments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries."""
        # Models can be imported only once the apps are loaded.
        from segments.personal_data import Memberships  # noqa: PLC0415
        from segments.personal_data_sending import Deliveries, ExportedRows  # noqa: PLC0415
        from segments.queries.comparing_traits import find_comparing  # noqa: PLC0415
        from segments.queries.coverage import read_field_uses  # noqa: PLC0415
        from segments.queries.removals import DestinationRemovals  # noqa: PLC0415
        from segments.sections import ComputedOfProfile, SegmentsOfProfile  # noqa: PLC0415
        from segments.services import following  # noqa: PLC0415
        from segments.services.merging import SegmentMerging  # noqa: PLC0415
        from segments.services.sending import exports  # noqa: PLC0415
        from segments.services.sending.correcting import send_correction  # noqa: PLC0415
        from segments.services.sending.departing import DestinationMerging  # noqa: PLC0415
        from segments.services.sending.settling import delete_old_records  # noqa: PLC0415

        registries.merge_participants.extend([SegmentMerging(), DestinationMerging()])
        registries.personal_data.extend([Deliveries(), Memberships(), ExportedRows()])
        registries.job_handlers[exports.KIND] = exports.write_part
        registries.housekeeping.extend([exports.expire_exports, delete_old_records])
        registries.profile_sections.append(SegmentsOfProfile())
        registries.profile_sections.append(ComputedOfProfile())
        registries.field_uses.append(read_field_uses)
        registries.removal_watches.append(DestinationRemovals())
        registries.correction_listeners.append(send_correction)
        registries.trait_comparers.append(find_comparing)
        registries.work_steps.append(
            registries.WorkStep(
                "changes", following.count_changes, lambda: following.follow_changes(clock=timezone.now)
            )
        )
        registries.work_steps.append(
            registries.WorkStep(
                "checks",
                lambda: following.count_due_checks(clock=timezone.now),
                lambda: following.follow_changes(clock=timezone.now),
            )
        )
