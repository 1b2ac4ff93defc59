"""Pixels: a message in an image's address, for mails and pages without scripts. The answer is always the image."""

import logging
from datetime import datetime

from django.db import DatabaseError, InterfaceError

from cdp.core.errors import CdpError
from ingestion.collecting.answers import PIXEL, Answer, Environ
from ingestion.collecting.intake import UNATTRIBUTED, code_of, find_fault, key_of, new_id, put_in, source_of
from ingestion.collecting.pressure import check_disk
from ingestion.collecting.routes import Route
from ingestion.errors import DiskNearlyFull
from ingestion.services.accept import count_unattributed, reject_message
from ingestion.spec.pixel import read_pixel
from ingestion.spec.split import split_items

log = logging.getLogger("cdp.collection")


def take_pixel(environ: Environ, route: Route, received_at: datetime) -> Answer:
    """Keep the message, or a row that says why not; nobody reads the answer, so it is the image either way."""
    if environ["REQUEST_METHOD"] != "GET":
        # Scanners of mails ask for the head only; nobody has seen anything.
        return PIXEL
    try:
        _take_in(environ, route, received_at)
    except UNATTRIBUTED:
        _count(received_at)
    except DiskNearlyFull:
        log.warning("a pixel could not be stored: the disk is nearly full")
    except CdpError:
        # Its row is written.
        pass
    except (DatabaseError, InterfaceError) as error:
        log.warning("a pixel could not be stored", extra={"fault": type(error).__name__})
    return PIXEL


def _take_in(environ: Environ, route: Route, received_at: datetime) -> None:
    # Nobody sends a pixel again, so it is taken in past the limit of the inbox.
    check_disk()
    body, query_key = read_pixel(environ.get("QUERY_STRING", ""))
    batch = split_items(body, route.endpoint)
    source = source_of(key_of(environ) or query_key or batch.write_key)
    fault = find_fault(batch, source, received_at)
    if fault is None:
        put_in(environ, source, route.endpoint, batch, body, received_at)
        return
    error, message_id = fault
    reject_message(source_id=source.id, message_id=message_id or new_id(), code=code_of(error), received_at=received_at)


def _count(received_at: datetime) -> None:
    try:
        count_unattributed(received_at=received_at)
    except (DatabaseError, InterfaceError) as error:
        log.warning("a pixel could not be counted", extra={"fault": type(error).__name__})
