"""The faults of consent and privacy; no message holds personal data."""

from cdp.core.errors import CdpError, Conflict, InvalidInput, NotFound


class ConsentError(CdpError):
    """Base of the errors of this app that stem from the pure rules."""

    code = "consent.error"


class UnknownState(ConsentError):
    """A decision names a state that cannot be recorded."""

    code = "consent.unknown_state"
    title = "This state cannot be recorded"

    def __init__(self, state: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(f"A decision's state is one of {', '.join(allowed)}.")
        self.state = state
        self.allowed = allowed


class UnknownPurpose(NotFound):
    """A purpose that does not exist."""

    code = "consent.unknown_purpose"
    title = "Unknown purpose"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no purpose {key!r}. GET /api/v1/purposes lists them.")
        self.key = key


class UnknownChannel(InvalidInput):
    """A channel that the purpose does not have."""

    code = "consent.unknown_channel"
    title = "Unknown channel"

    def __init__(self, channel: str, *, allowed: list[str]) -> None:
        known = ", ".join(allowed) if allowed else "none"
        super().__init__(f"The purpose has no channel {channel!r}. Its channels: {known}.")
        self.channel = channel


class UnknownNotice(NotFound):
    """A notice, or a version of it, that does not exist."""

    code = "consent.unknown_notice"
    title = "Unknown notice"


class UnknownDecision(NotFound):
    """No such entry in the ledger."""

    code = "consent.unknown_decision"
    title = "Unknown decision"

    def __init__(self) -> None:
        super().__init__("There is no consent decision with this id.")


class PurposeExists(Conflict):
    """A purpose with this key exists already, with other properties."""

    code = "consent.purpose_exists"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is a purpose {key!r} already. Change it by PATCH /api/v1/purposes/{key}.")


class Suppressed(Conflict):
    """A grant for somebody who was erased."""

    code = "consent.suppressed"
    title = "This identifier is suppressed"

    def __init__(self) -> None:
        super().__init__(
            "This identifier is suppressed after an erasure. Lift the suppression with a reason before a grant."
        )


class UnknownRequest(NotFound):
    """No such privacy request."""

    code = "privacy.unknown_request"
    title = "Unknown privacy request"

    def __init__(self) -> None:
        super().__init__("There is no privacy request with this id.")


class WrongStatus(Conflict):
    """The request's status does not allow this step."""

    code = "privacy.wrong_status"
    title = "The request's status does not allow this"

    def __init__(self, *, status: str, allowed: str) -> None:
        super().__init__(f"The request is {status}; this is possible only while it is {allowed}.")
        self.status_now = status


class NotCarriedOut(Conflict):
    """A type of request that is recorded and tracked, but fulfilled by people."""

    code = "privacy.by_hand"
    title = "Requests of this type are fulfilled by hand"

    def __init__(self, kind: str) -> None:
        super().__init__(f"Requests of type {kind} are recorded here and fulfilled by hand; they are not approved.")


class UnknownSuppression(NotFound):
    """No such suppression."""

    code = "suppression.unknown"
    title = "Unknown suppression"

    def __init__(self) -> None:
        super().__init__("There is no suppression with this id.")
