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
        from profiles.personal_data import (  # noqa: PLC0415
            Corrections,
            Events,
            Groups,
            Ledgers,
            Matching,
            PersonKeys,
            Profiles,
            Rules,
        )
        from profiles.personal_data_derived import Orders, Sessions  # noqa: PLC0415
        from profiles.queries.corrections import find_corrected  # noqa: PLC0415
        from profiles.queries.trait_rules import APPLY  # noqa: PLC0415
        from profiles.services.keeping import keep_partitions, prepare_partitions  # noqa: PLC0415
        from profiles.services.kept_keys import TABLE, bring_keys_back, keep_keys  # noqa: PLC0415
        from profiles.services.matching_following import MatchingFollows  # noqa: PLC0415
        from profiles.services.matching_work import forget_old_runs  # noqa: PLC0415
        from profiles.services.mega_profiles import find_mega_profiles  # noqa: PLC0415
        from profiles.services.moving import move_split_events, repoint_events  # noqa: PLC0415
        from profiles.services.orders import JOB, compute_orders_again, prepare_orders  # noqa: PLC0415
        from profiles.services.quarantining import RELEASE_JOB  # noqa: PLC0415
        from profiles.services.rules_runs import (  # noqa: PLC0415
            RUN_JOB,
            RunsFollow,
            forget_runs,
            prepare_sharing_limits,
            release_quarantined,
            step_run,
        )
        from profiles.services.sealing import wrap_anew  # noqa: PLC0415
        from profiles.services.sealing_stored import JOB as SEAL_JOB  # noqa: PLC0415
        from profiles.services.sealing_stored import change_stored  # noqa: PLC0415
        from profiles.services.sessions import JOB as SESSIONS_JOB  # noqa: PLC0415
        from profiles.services.sessions import compute_sessions_again, prepare_sessions  # noqa: PLC0415
        from profiles.services.trait_rules import apply_rules  # noqa: PLC0415

        registries.sealed_columns.append(
            registries.SealedColumn("profiles_personkey", "wrapped", "identifier_id", wrap_anew)
        )
        registries.kept_apart[TABLE] = (keep_keys, bring_keys_back)
        registries.personal_data.extend(
            [
                *(Events(), Orders(), Sessions(), Groups(), Ledgers(), Rules(), Corrections(), Matching()),
                *(PersonKeys(), Profiles()),
            ]
        )
        registries.profile_anchors.append(find_corrected)
        # Each chunk is a transaction of its own, so that the lock is never held for long.
        registries.job_handlers_outside_transaction["profiles.repoint-events"] = repoint_events
        registries.job_handlers_outside_transaction["profiles.move-split-events"] = move_split_events
        registries.job_handlers[RELEASE_JOB] = release_quarantined
        registries.job_handlers[RUN_JOB] = step_run
        registries.merge_participants.extend([RunsFollow(), MatchingFollows()])
        registries.preparations.append(prepare_sharing_limits)
        registries.housekeeping.extend([forget_runs, find_mega_profiles, forget_old_runs])
        registries.job_handlers[JOB] = compute_orders_again
        registries.job_handlers[SESSIONS_JOB] = compute_sessions_again
        registries.job_handlers[APPLY] = apply_rules
        registries.job_handlers[SEAL_JOB] = change_stored
        registries.preparations.extend([prepare_partitions, prepare_orders, prepare_sessions])
        registries.housekeeping.append(keep_partitions)
