"""The faults of consent and privacy; no message holds personal data."""

from cdp.core.errors import CdpError


class ConsentError(CdpError):
    """Base of the errors of this app."""

    code = "consent.error"


class UnknownState(ConsentError):
    """A decision names a state that cannot be recorded."""

    code = "consent.unknown_state"
    title = "This state cannot be recorded"

    def __init__(self, state: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(f"A decision's state is one of {', '.join(allowed)}.")
        self.state = state
        self.allowed = allowed
