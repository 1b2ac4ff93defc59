"""What can go wrong with segments, each with a stable code."""

from cdp.core.errors import CdpError, FieldError


class SegmentError(CdpError):
    """Base of every error of this app."""

    code = "segment.error"
    title = "The segment cannot be used like this"


class InvalidDefinition(SegmentError):
    """The definition breaks the rules of `segment/v1`; each fault names its path in the JSON."""

    code = "segment.invalid_definition"
    title = "The definition is not valid"

    def __init__(self, errors: list[FieldError]) -> None:
        first = errors[0]
        where = f"{first.path}: " if first.path else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{where}{first.message}{more}", errors=errors)


class UnknownReference(InvalidDefinition):
    """The definition names a segment, list, purpose or identifier type that does not exist."""

    code = "segment.unknown_reference"


class CircularReference(InvalidDefinition):
    """The segment would depend on itself through its references, or the chain of references is too long."""

    code = "segment.circular_reference"
