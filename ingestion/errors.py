"""What can go wrong at the door and in the management of sources."""

from cdp.core.errors import CdpError


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


class RefusedMessage(IngestionError):
    """A single message has a fault; `code` is that of the fault."""

    title = "The message is not acceptable"

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
