"""Errors of starting and running the embedded servers; each message says what to do."""

from cdp.core.errors import CdpError


class EmbeddedError(CdpError):
    """Something about the embedded servers or their data directory needs a person."""

    code = "embedded"
    status = 503
    title = "The embedded servers are not available"


class DataDirectoryUnusable(EmbeddedError):
    """The data directory cannot be made, entered or written."""

    code = "embedded.data_directory"


class ServerFailed(EmbeddedError):
    """PostgreSQL or Valkey does not start or does not stay up."""

    code = "embedded.server_failed"


class AddressTaken(EmbeddedError):
    """The address that the web process should listen on cannot be had."""

    code = "embedded.address_taken"


class AlreadyRunning(EmbeddedError):
    """The product already runs in this data directory."""

    code = "embedded.already_running"
