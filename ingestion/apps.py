"""Django's entry to the app."""

from django.apps import AppConfig
from django.conf import settings
from django.utils import timezone

from cdp.core.registries import (
    WorkStep,
    erased_event_listeners,
    gauges,
    housekeeping,
    identifier_normalisers,
    job_handlers,
    job_handlers_outside_transaction,
    mention_redactors,
    personal_data,
    preparations,
    readiness_checks,
    source_keys,
    source_kinds,
    work_steps,
)
from ingestion.spec.identifiers import normalise


class IngestionConfig(AppConfig):
    """Sources, collection, processing."""

    name = "ingestion"
    verbose_name = "Collection"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the apps below what an identifier looks like."""
        from ingestion.queries.write_keys import name_normaliser  # noqa: PLC0415 - models load after this module

        identifier_normalisers.append(
            lambda key, value: normalise(key, value, settings.CDP_PHONE_REGION, name_normaliser(key))
        )
        from ingestion.queries.sources import read_source_keys, read_source_kinds  # noqa: PLC0415 - models load after this module

        source_keys.append(read_source_keys)
        source_kinds.append(read_source_kinds)
        from ingestion.personal_data import (  # noqa: PLC0415
            ArchivedMessages,
            HeldMessages,
            KnownValues,
            NamesSeen,
            QualityRules,
            QuarantinedMessages,
            RefusedRows,
            TreatmentDefinitions,
            WaitingCopies,
            forget_messages,
        )
        from ingestion.queries.forwarding import gauge_forwarding  # noqa: PLC0415
        from ingestion.queries.imports import count_unfinished  # noqa: PLC0415
        from ingestion.queries.pressure import gauge_pressure, judge_pressure  # noqa: PLC0415
        from ingestion.services.archive import keep_archive, prepare_archive  # noqa: PLC0415
        from ingestion.services.counting import compact_counts  # noqa: PLC0415
        from ingestion.services.drain import count_inbox, process_inbox  # noqa: PLC0415
        from ingestion.services.findings import keep_findings  # noqa: PLC0415
        from ingestion.services.forwarding import expire_copies  # noqa: PLC0415
        from ingestion.services.held import release_held  # noqa: PLC0415
        from ingestion.services.import_jobs import import_step, undo_step  # noqa: PLC0415
        from ingestion.services.imports import IMPORT_JOB, UNDO_JOB, expire_imports  # noqa: PLC0415
        from ingestion.services.known_values import LEARN_JOB, step_learning  # noqa: PLC0415
        from ingestion.services.measuring import JOB as MEASURE_JOB  # noqa: PLC0415
        from ingestion.services.measuring import keep_quality, step_measuring  # noqa: PLC0415
        from ingestion.services.replays import JOB, step_replay  # noqa: PLC0415
        from ingestion.services.taking_out import take_out_mentions, take_out_of_copies  # noqa: PLC0415

        personal_data.extend(
            [QuarantinedMessages(), HeldMessages(), ArchivedMessages(), TreatmentDefinitions(), NamesSeen()]
        )
        mention_redactors.extend([take_out_mentions, take_out_of_copies])
        personal_data.append(WaitingCopies())
        gauges.append(gauge_forwarding)
        housekeeping.append(expire_copies)
        readiness_checks.append(judge_pressure)
        gauges.append(gauge_pressure)
        job_handlers[JOB] = step_replay
        personal_data.extend([RefusedRows(), KnownValues(), QualityRules()])
        job_handlers[MEASURE_JOB] = step_measuring
        job_handlers[LEARN_JOB] = step_learning
        housekeeping.append(keep_quality)
        job_handlers_outside_transaction[IMPORT_JOB] = import_step
        job_handlers[UNDO_JOB] = undo_step
        housekeeping.append(expire_imports)
        # The jobs bring them in; whoever drains waits until they are in.
        work_steps.append(WorkStep("imports", count_unfinished, lambda: 0))
        erased_event_listeners.append(forget_messages)
        preparations.append(prepare_archive)
        housekeeping.extend([compact_counts, keep_archive, keep_findings])
        work_steps.append(WorkStep("inbox", count_inbox, process_inbox))
        # What still waits for a decision is not waiting work: each pass decides all that can be decided.
        work_steps.append(WorkStep("held", lambda: 0, lambda: release_held(now=timezone.now())))
        self._register_watch()

    @staticmethod
    def _register_watch() -> None:
        """Register reconciliations and alerts."""
        from ingestion.personal_data_watching import Reconciled, WatchedNames  # noqa: PLC0415
        from ingestion.services.announcing import JOB as NOTICE_JOB  # noqa: PLC0415
        from ingestion.services.delivering import deliver_notice  # noqa: PLC0415
        from ingestion.services.keeping_watch import keep_watch  # noqa: PLC0415
        from ingestion.services.reconciling import JOB as RECONCILE_JOB  # noqa: PLC0415
        from ingestion.services.reconciling import keep_reconciliations, step_reconciliation  # noqa: PLC0415

        personal_data.extend([Reconciled(), WatchedNames()])
        job_handlers[RECONCILE_JOB] = step_reconciliation
        job_handlers_outside_transaction[NOTICE_JOB] = deliver_notice
        housekeeping.extend([keep_reconciliations, keep_watch])
