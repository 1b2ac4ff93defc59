"""Django's entry to the app."""

from django.apps import AppConfig
from django.utils import timezone

from cdp.core import registries
from cdp.core.secrets import seal_anew


class ConsentConfig(AppConfig):
    """Consent and privacy requests."""

    name = "consent"
    verbose_name = "Consent and privacy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fill the registries."""
        # Models can be imported only once the apps are loaded.
        from consent.personal_data import ConsentRecords, Links, PrivacyRequests  # noqa: PLC0415
        from consent.personal_data_disclosures import Disclosures  # noqa: PLC0415
        from consent.queries.anchors import find_anchored  # noqa: PLC0415
        from consent.queries.suppressions import find_suppressed  # noqa: PLC0415
        from consent.request_data import RequestPapers, SentMail  # noqa: PLC0415
        from consent.services.alarms import warn_of_requests  # noqa: PLC0415
        from consent.services.details import forget_details_of_erased  # noqa: PLC0415
        from consent.services.disclosures import keep_register, prepare_register  # noqa: PLC0415
        from consent.services.erasure_ledger import check_ledger, give_facts  # noqa: PLC0415
        from consent.services.forms import delete_old_uses  # noqa: PLC0415
        from consent.services.gate import barred_from_matching, required_states  # noqa: PLC0415
        from consent.services.identity import forget_unconfirmed  # noqa: PLC0415
        from consent.services.importing import KIND, read_step  # noqa: PLC0415
        from consent.services.links import delete_old_links  # noqa: PLC0415
        from consent.services.merging import ConsentMerging  # noqa: PLC0415
        from consent.services.objects import record_consent_objects  # noqa: PLC0415
        from consent.services.packages import JOB, delete_old_packages, run_remaking  # noqa: PLC0415
        from consent.services.replaying import check_erasures  # noqa: PLC0415
        from consent.services.retention import run_nightly  # noqa: PLC0415
        from consent.services.withholding import delete_due_rows  # noqa: PLC0415
        from consent.ui.sections import ConsentSection  # noqa: PLC0415

        registries.sealed_columns.append(registries.SealedColumn("consent_privacyrequest", "closure", "id", seal_anew))
        registries.merge_participants.append(ConsentMerging())
        registries.consent_recorders.append(record_consent_objects)
        registries.suppression_checks.append(find_suppressed)
        registries.profile_anchors.append(find_anchored)
        registries.consent_requirements.append(
            lambda purpose, profile_ids: required_states(purpose, profile_ids, timezone.now())
        )
        registries.matching_checks.append(lambda profile_ids: barred_from_matching(profile_ids, timezone.now()))
        registries.personal_data.extend([ConsentRecords(), Links(), Disclosures(), PrivacyRequests()])
        registries.job_handlers[KIND] = read_step
        registries.housekeeping.extend([delete_old_links, delete_old_uses, keep_register])
        registries.preparations.append(prepare_register)
        registries.personal_data.extend([RequestPapers(), SentMail()])
        registries.job_handlers_outside_transaction[JOB] = run_remaking
        registries.housekeeping.extend(
            [
                delete_old_packages,
                delete_due_rows,
                run_nightly,
                forget_unconfirmed,
                forget_details_of_erased,
                warn_of_requests,
            ]
        )
        registries.profile_sections.append(ConsentSection())
        registries.backup_facts.append(give_facts)
        registries.restore_checks.append(check_ledger)
        registries.start_checks.append(check_erasures)
