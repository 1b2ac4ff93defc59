"""What can go wrong with segments, each with a stable code."""

from cdp.core.errors import CdpError, Conflict, FieldError, NotFound


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


class SealedTraitCompared(InvalidDefinition):
    """A condition compares the values of a trait that is stored encrypted."""

    code = "segment.sealed_trait"
    title = "The trait is stored encrypted"


class FieldNotCovered(InvalidDefinition):
    """The segment's purpose does not cover a trait or event that it uses."""

    code = "segment.field_not_covered"
    title = "The purpose does not cover a field that the segment uses"

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors)
        self.message = f"{self.message} The compliance officer can allow it, with a reason."


class NoSuchSegment(SegmentError, NotFound):
    """No segment has this key."""

    code = "segment.unknown"
    status = 404
    title = "Not found"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no segment “{key}”.")
        self.key = key


class NoSuchVersion(SegmentError, NotFound):
    """The segment has no definition of this number."""

    code = "segment.unknown_version"
    status = 404
    title = "Not found"

    def __init__(self, key: str, version: int) -> None:
        super().__init__(f"“{key}” has no version {version}.")
        self.key = key
        self.version = version


class NoSuchTrait(SegmentError, NotFound):
    """No computed trait has this name."""

    code = "segment.unknown_computed_trait"
    status = 404
    title = "Not found"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no computed trait “{key}”.")
        self.key = key


class NoSuchList(SegmentError, NotFound):
    """No list has this key."""

    code = "segment.unknown_list"
    status = 404
    title = "Not found"

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no list “{key}”.")
        self.key = key


class NoSuchUpload(SegmentError, NotFound):
    """The list has no such file."""

    code = "segment.unknown_upload"
    status = 404
    title = "Not found"

    def __init__(self, key: str) -> None:
        super().__init__(f"The list “{key}” has no such file.")
        self.key = key


class BadTable(SegmentError):
    """A file cannot be read as a table of people."""

    code = "segment.bad_table"
    title = "The file cannot be read"

    def __init__(self, message: str) -> None:
        super().__init__(message, errors=[FieldError("file", self.code, message)])


class KeyTaken(SegmentError, Conflict):
    """The key names another segment or list already."""

    code = "segment.key_taken"
    status = 409
    title = "Conflict with the present state"

    def __init__(self, key: str) -> None:
        super().__init__(f"The key “{key}” is taken by another definition. Choose another, or change that one.")
        self.key = key


class SegmentInUse(SegmentError, Conflict):
    """Other segments refer to this one, so it cannot be archived or deleted."""

    code = "segment.in_use"
    status = 409
    title = "Conflict with the present state"

    def __init__(self, key: str, users: list[str]) -> None:
        super().__init__(f"“{key}” is used by {', '.join(users)}. Change these first.")
        self.key = key
        self.users = users


class DefinitionMissing(SegmentError):
    """A segment without a condition cannot be live."""

    code = "segment.definition_missing"
    title = "The definition is not valid"

    def __init__(self) -> None:
        message = "A live segment needs a condition: give definition.match, or keep the segment a draft."
        super().__init__(message, errors=[FieldError("definition.match", "missing_key", message)])


class NowNotAllowed(SegmentError):
    """A preview at another time is for development only."""

    code = "segment.now_not_allowed"
    title = "The request cannot be carried out"

    def __init__(self) -> None:
        message = "now may be given in development only (CDP_ENV=development)."
        super().__init__(message, errors=[FieldError("now", self.code, message)])


class TooExpensive(SegmentError):
    """Keeping the segment current would take the machine from everybody else."""

    code = "segment.too_expensive"
    status = 422
    title = "The definition takes too much work to keep current"

    def __init__(self, estimate: int, limit: int) -> None:
        message = (
            f"The estimated work is {estimate:,}; at most {limit:,} is allowed (CDP_SEGMENT_COST_LIMIT). "
            "Narrow a window, test fewer events, or keep the segment a draft."
        )
        super().__init__(message, errors=[FieldError("definition.match", self.code, message)])
        self.estimate = estimate
        self.limit = limit


class PreviewTooSlow(SegmentError):
    """The preview was stopped so that it does not slow everybody else."""

    code = "segment.preview_too_slow"
    status = 422
    title = "The definition takes too long to preview"
