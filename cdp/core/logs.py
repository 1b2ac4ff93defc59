"""Logs: for people in development, JSON in production; never a payload, a query string or personal data.

What an error says is left out unless its class is known to speak about the program only: a database error quotes the
row, a `ValueError` the value.
"""

import logging
import logging.config
import re
import sys
import traceback
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from cdp.core.errors import CdpError

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# Their messages name code, files and addresses of servers, never values of the input.
SPEAKS_OF_THE_PROGRAM = (
    CdpError,
    ImportError,
    OSError,
    AttributeError,
    NameError,
    TypeError,
    NotImplementedError,
    RecursionError,
)
LEFT_OUT = "(message left out: it may hold personal data)"
MAX_FRAMES = 30
KEEPS_LINES = re.compile(r"^(?!\s*(DETAIL|CONTEXT|HINT|LINE \d+|QUERY|\^)).*$")
# Written by frameworks, with paths, hosts or form fields in their text.
FRAMEWORK_SENTENCES = {
    "django.request": "request failed",
    "django.security": "request refused as unsafe",
    "django.server": "request",
}


def describe_exception(kind: type[BaseException], error: BaseException) -> str:
    """Return an error's class and, where it is safe, what it says.

    Of a PostgreSQL error that is the SQLSTATE and the name of the constraint, never the row that it quotes.
    """
    cause = error.__cause__ if error.__cause__ is not None else error
    state = getattr(cause, "pgcode", None)
    if state is not None:
        constraint = getattr(getattr(cause, "diag", None), "constraint_name", None)
        return f"{kind.__name__}: SQLSTATE {state}" + (f", constraint {constraint}" if constraint else "")
    if isinstance(error, SPEAKS_OF_THE_PROGRAM) or kind.__name__ == "ImproperlyConfigured":
        lines = [line for line in str(error).splitlines() if KEEPS_LINES.match(line)]
        return f"{kind.__name__}: {' '.join(lines)}"
    return f"{kind.__name__} {LEFT_OUT}"


def format_exception(exc_info: ExcInfo) -> str:
    """Return a traceback that names files, lines and functions, the chain of causes included."""
    kind, error, trace = exc_info
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    current_trace = trace
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = traceback.extract_tb(current_trace)[-MAX_FRAMES:]
        where = "".join(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n' for frame in frames)
        kind = type(current)
        parts.append(where + describe_exception(kind, current))
        following = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        current, current_trace = following, following.__traceback__ if following else None
    return "\ncaused by\n".join(parts)


def _add_exception(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the safe traceback."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, tuple) and exc_info[1] is not None:
        event["exception"] = format_exception(exc_info)
    return event


class SafeRecords(logging.Filter):
    """Takes values out of records that frameworks write."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; all records pass."""
        # Django hands the whole request on, whose text is its address with the query string.
        vars(record).pop("request", None)
        for name, sentence in FRAMEWORK_SENTENCES.items():
            if record.name == name or record.name.startswith(f"{name}."):
                record.msg, record.args = sentence, ()
                if name == "django.security":
                    # The request was refused on purpose; where in the framework says nothing.
                    record.exc_info = None
        if record.exc_info and record.exc_info[1] is not None:
            # Frameworks put the error's own words into the message beside the traceback.
            error = record.exc_info[1]
            if record.args and any(str(error) in str(value) for value in _values(record.args)):
                record.msg, record.args = describe_exception(type(error), error), ()
        record.exc_text = None
        return True


def _values(args: Any) -> list[Any]:
    if isinstance(args, dict):
        return list(args.values())
    return list(args) if isinstance(args, tuple) else [args]


def configure(config: dict[str, Any]) -> None:
    """Set up logging (Django's `LOGGING_CONFIG`).

    Parameters
    ----------
    config : dict
        ``{"json": bool, "level": "INFO"}``.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_exception,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if config["json"]
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"safe": {"()": SafeRecords}},
            "formatters": {
                "structlog": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
                }
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "structlog", "filters": ["safe"]},
            },
            "root": {"handlers": ["stderr"], "level": config["level"]},
            "loggers": {
                # Every request has its own line (RequestLogMiddleware); these repeat it with the full path.
                "django.request": {"level": "ERROR"},
                "django.server": {"level": "ERROR"},
                # axes announces each attempt with what was typed as user name.
                "axes": {"level": "ERROR"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
                # The sweeps would say once a second that they ran.
                "celery.worker.strategy": {"level": "WARNING"},
            },
        }
    )
