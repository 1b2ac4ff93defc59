"""What can go wrong at the door and in the management of sources."""

from cdp.core.errors import CdpError, Conflict, FieldError, InvalidInput, NotFound


class IngestionError(CdpError):
    """Base of the app's errors."""

    code = "ingestion.error"
    title = "The request cannot be collected"


class TooLarge(IngestionError):
    """The request, as sent or inflated, is over the limit."""

    code = "ingestion.too_large"
    status = 413
    title = "The request is too large"


class NotJson(IngestionError):
    """The body is not a JSON document of the expected shape, or cannot be inflated."""

    code = "ingestion.not_json"
    title = "The body is not valid JSON"


class NoItems(IngestionError):
    """The body is valid JSON without a list of items (batch) or without an object (single)."""

    code = "ingestion.no_items"
    title = "The body holds no items"


class UnusableKey(IngestionError):
    """The request names no write key, or one that no active source has."""

    code = "ingestion.unknown_write_key"
    status = 401
    title = "The write key is missing or unknown"


class InboxFull(IngestionError):
    """More messages wait than the installation allows; `wait` is after how many seconds to send again."""

    code = "ingestion.inbox_full"
    status = 429
    title = "Too many messages wait"

    def __init__(self, message: str, *, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class DiskNearlyFull(IngestionError):
    """The disk has less free space than the installation keeps; `wait` is after how many seconds to send again."""

    code = "ingestion.disk_nearly_full"
    status = 503
    title = "The disk is nearly full"

    def __init__(self, message: str, *, wait: int) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedMessage(IngestionError):
    """A single message has a fault; `code` is that of the fault."""

    title = "The message is not acceptable"

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class SecretKeyNeeded(IngestionError):
    """The call joins profiles by itself, so anyone who can read a public key must not make it."""

    code = "ingestion.secret_key_needed"
    status = 403
    title = "This call needs a secret key"


class InvalidSource(InvalidInput):
    """The settings of a source have faults."""

    code = "source.invalid"
    title = "The source is not valid"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(
            " ".join(message for _, message in faults),
            errors=[FieldError(path=path, code=self.code, message=message) for path, message in faults],
        )


class SourceExists(Conflict):
    """A source of this name, or with this write key, exists and is another one."""

    code = "source.exists"
    title = "The source exists already"


class InvalidFieldRule(InvalidInput):
    """A rule for a field has faults."""

    code = "quality_rule.invalid"
    title = "The rule is not valid"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(
            " ".join(message for _, message in faults),
            errors=[FieldError(path=path, code=self.code, message=message) for path, message in faults],
        )


class UnknownFieldRule(NotFound):
    """The source has no such rule."""

    code = "quality_rule.not_found"
    title = "No such rule"


class UnknownSource(NotFound):
    """No source has this name."""

    code = "source.not_found"
    title = "No such source"


class UnknownMessage(NotFound):
    """No message has this id."""

    code = "message.not_found"
    title = "No such message"


class AmbiguousMessage(Conflict):
    """Several sources have a message with this id."""

    code = "message.ambiguous"
    title = "Several sources have this message id"


class InvalidTreatment(InvalidInput):
    """Transformations, a tracking plan or cleaning have faults; nothing of them was saved."""

    code = "treatment.invalid"
    title = "The definition is not valid"

    def __init__(self, errors: list[FieldError]) -> None:
        first = errors[0]
        place = f"{first.path}: " if first.path else ""
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{place}{first.message}{more}", errors=errors)


class UnknownTreatment(NotFound):
    """The source has no such version of its transformations, plan or cleaning."""

    code = "treatment.not_found"
    title = "No such version"


class UnknownReplay(NotFound):
    """No replay has this id."""

    code = "replay.not_found"
    title = "No such replay"


class ReplayState(Conflict):
    """The replay is not in a state in which this can be done."""

    code = "replay.state"
    title = "The replay cannot do this now"


class PlanStopsMessages(Conflict):
    """The plan would stop messages that are accepted today, and nobody said that this is meant."""

    code = "tracking_plan.stops_messages"
    title = "The plan would stop recent messages"


class InvalidImport(InvalidInput):
    """The file cannot be read, or what is to become of its columns is not clear."""

    code = "import.invalid"
    title = "The import is not valid"


class UnknownImport(NotFound):
    """No import has this id."""

    code = "import.not_found"
    title = "No such import"


class ImportConflict(Conflict):
    """The import is in a state that does not allow this."""

    code = "import.conflict"
    title = "The import is not in a state for this"


class InvalidForwarding(InvalidInput):
    """The settings of a forwarding have faults."""

    code = "forwarding.invalid"
    title = "The forwarding is not valid"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(
            " ".join(message for _, message in faults),
            errors=[FieldError(path=path, code=self.code, message=message) for path, message in faults],
        )


class NoForwarding(NotFound):
    """The source forwards nothing."""

    code = "forwarding.not_found"
    title = "The source does not forward"


class InvalidReconciliation(InvalidInput):
    """What is to be compared has faults."""

    code = "reconciliation.invalid"
    title = "The reconciliation is not valid"


class UnknownReconciliation(NotFound):
    """No reconciliation has this id."""

    code = "reconciliation.not_found"
    title = "No such reconciliation"


class InvalidAlertSetting(InvalidInput):
    """A channel, a rule or a mute of alerts has faults."""

    code = "alert.invalid"
    title = "The setting of alerts is not valid"


class UnknownAlert(NotFound):
    """No alert, mute or channel has this id."""

    code = "alert.not_found"
    title = "No such alert"


class ChannelExists(Conflict):
    """Another channel leads to the same address."""

    code = "alert.channel_exists"
    title = "The channel exists already"


class AlertIsOver(Conflict):
    """The alert has ended, so there is nothing to acknowledge."""

    code = "alert.is_over"
    title = "The alert is over"
