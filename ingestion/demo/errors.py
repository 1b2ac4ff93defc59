"""What can go wrong while the demo is loaded."""

from ingestion.errors import IngestionError


class DemoError(IngestionError):
    """Base of the demo's errors."""

    code = "demo.error"
    title = "The demo data cannot be loaded"


class DemoUnavailable(DemoError):
    """The data's package is not installed."""

    code = "demo.not_installed"


class DemoBusy(DemoError):
    """Another process is loading the demo into the same data directory."""

    code = "demo.busy"
    status = 409


class ProductUnreachable(DemoError):
    """The product did not answer for a long time."""

    code = "demo.unreachable"
    status = 503


class SendRefused(DemoError):
    """The product refused a request that the demo made."""

    code = "demo.refused"
