"""What can go wrong with exports and destinations, each with a stable code."""

from cdp.core.errors import CdpError, Conflict, FieldError, InvalidInput, NotAllowed, NotFound


class InvalidSending(CdpError):
    """Columns, a template or headers cannot be used; each fault names its path."""

    code = "sending.invalid"
    status = 422
    title = "This cannot be sent like that"

    def __init__(self, errors: list[FieldError]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{first.path}: {first.message}{more}", errors=errors)


class NoSuchExport(NotFound):
    """No export has this number."""

    code = "export.unknown"

    def __init__(self) -> None:
        super().__init__("There is no such export.")


class NoSuchSchedule(NotFound):
    """No schedule has this number."""

    code = "export.unknown_schedule"

    def __init__(self) -> None:
        super().__init__("There is no such schedule.")


class ExportNotReady(Conflict):
    """The file is still being made, or could not be made."""

    code = "export.not_ready"


class ExportExpired(CdpError):
    """The file was there and is gone."""

    code = "export.expired"
    status = 410
    title = "No longer there"

    def __init__(self) -> None:
        super().__init__("The file was deleted when its time was up. Export again.")


class ExportHidden(NotAllowed):
    """The file holds values that the caller may see masked only."""

    code = "export.hidden"

    def __init__(self) -> None:
        super().__init__("This file holds personal data: it needs the scope personal_data:read. Export again yourself.")


class SegmentNotLive(Conflict):
    """Only a live segment has members."""

    code = "sending.segment_not_live"

    def __init__(self, key: str) -> None:
        super().__init__(f"“{key}” is not live, so it has no members. Make it live first.")
        self.key = key


class PurposeDoesNotFit(InvalidInput):
    """What the people would be sent for is not what the segment is for, or cannot be allowed on the channel."""

    code = "sending.purpose_does_not_fit"
    status = 422

    def __init__(self, message: str, *, path: str = "purpose") -> None:
        super().__init__(message, errors=[FieldError(path, "does_not_fit", message)])


class NoSuchDestination(NotFound):
    """No destination has this key."""

    code = "destination.unknown"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no destination “{key}”.")
        self.key = key


class DestinationTaken(Conflict):
    """The key names another destination already."""

    code = "destination.key_taken"

    def __init__(self, key: str) -> None:
        super().__init__(f"The key “{key}” is taken by another destination.")
        self.key = key


class ColumnsHidden(NotAllowed):
    """Whoever may not see values may not send them to an address of their choice either."""

    code = "destination.columns_hidden"

    def __init__(self) -> None:
        super().__init__("Sending values in the clear needs the scope personal_data:read. Send the id, or digests.")
