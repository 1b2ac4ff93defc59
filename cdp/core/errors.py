"""The error family: every fault a person can cause has a stable code and a sentence that says what to do.

One handler turns these into RFC 9457 problem documents for REST (`cdp.core.api.problems`), one middleware into a
message for the browser. No message ever holds personal data.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in the input: where it is, its stable code, and what to do about it."""

    path: str
    code: str
    message: str


class CdpError(Exception):
    """Base of every error that this product raises on purpose.

    Attributes
    ----------
    code : str
        Stable name for programs, e.g. ``segment.unknown_trait``.
    status : int
        HTTP status that an interface answers with.
    title : str
        The kind of problem in a few words, the same for each occurrence.
    errors : list of FieldError
        The single faults, where the input has several.
    """

    code = "error"
    status = 400
    title = "The request cannot be carried out"

    def __init__(self, message: str, *, errors: list[FieldError] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors or []


class InvalidInput(CdpError):
    """The input has faults; each is named with its path."""

    code = "input.invalid"
    title = "The input is not valid"


class NotFound(CdpError):
    """The thing asked for does not exist, or may not be seen."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(CdpError):
    """The request contradicts the present state."""

    code = "conflict"
    status = 409
    title = "Conflict with the present state"


class NotAllowed(CdpError):
    """The caller lacks the right."""

    code = "not_allowed"
    status = 403
    title = "Not allowed"


class NotAuthenticated(CdpError):
    """The request names no usable key or session."""

    code = "not_authenticated"
    status = 401
    title = "Not signed in"


class Unavailable(CdpError):
    """A store is down or full; the same request may be sent again later."""

    code = "unavailable"
    status = 503
    title = "Not available at the moment"
