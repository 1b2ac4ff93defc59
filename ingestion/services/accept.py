"""Taking requests in: one statement for all that arrive at the same moment, committed before they are answered."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction

from cdp.core.connections import on_living_connection
from cdp.core.copying import copy_rows, escape, stamp
from cdp.core.digests import message_digest
from cdp.core.services.wakeups import wake_now
from ingestion.models import Outcome
from ingestion.services.together import Together

# A large body is compressed and spread by the database, which takes longer than its commit: two of those are better
# written side by side.
SMALL_BYTES = 8 * 1024
INBOX_COLUMNS = "source_id, received_at, endpoint, items, body, ip, user_agent, attempts, gpc"
COPY_COLUMNS = "source_id, received_at, queued_at, endpoint, items, size, ip, user_agent, attempts, reason, body"
FORWARD_TASK = "ingestion.forward_copies"
# A row that is there already keeps what it tells; this one is a further copy of the same message id.
REJECT = f"""
WITH refused AS (
    INSERT INTO ingestion_message (source_id, message_hash, outcome, copies, received_at, processed_at, reason)
    VALUES (%s, %s, {Outcome.REJECTED.value}, 1, %s, %s, %s)
    ON CONFLICT (source_id, message_hash) DO UPDATE SET copies = ingestion_message.copies + 1
    RETURNING xmax = 0 AS is_first
)
INSERT INTO ingestion_outcomecount (source_id, hour, outcome, count)
SELECT %s, %s, CASE WHEN is_first THEN {Outcome.REJECTED.value} ELSE {Outcome.DUPLICATE.value} END, 1 FROM refused
"""
COUNT_UNATTRIBUTED = f"""
INSERT INTO ingestion_outcomecount (source_id, hour, outcome, count) VALUES (NULL, %s, {Outcome.REJECTED.value}, 1)
"""


def accept_request(  # noqa: PLR0913 - what a row of the inbox has
    *,
    source_id: int,
    endpoint: str,
    items: int,
    body: bytes,
    received_at: datetime,
    sender: tuple[str, str, bool],
    copies: bool = False,
) -> None:
    """Put a request into the inbox.

    Parameters
    ----------
    source_id : int
        Whose key it came with.
    endpoint : str
        Last part of the path, a key of `ingestion.spec.message.ENDPOINTS`.
    items : int
        How many messages it holds.
    body : bytes
        Inflated.
    received_at : datetime
        UTC.
    sender : tuple of str, str and bool
        IP address and user agent to be filled into contexts that lack them, or ``""``; whether Global Privacy Control
        is on.
    copies : bool
        Write also a copy to be forwarded, in the same transaction.
    """
    address, user_agent, gpc = sender
    line = (
        f"{source_id}\t{stamp(received_at)}\t{endpoint}\t{items}\t\\\\x{body.hex()}\t{address}\t"
        f"{escape(user_agent)}\t0\t{'t' if gpc else 'f'}\n"
    )
    if copies:
        at = stamp(received_at)
        copy = (
            f"{source_id}\t{at}\t{at}\t{endpoint}\t{items}\t{len(body)}\t{address}\t{escape(user_agent)}\t0\t\t"
            f"\\\\x{body.hex()}\n"
        )
        # One text for both: neither holds a line break but at its end.
        if len(body) > SMALL_BYTES:
            _copy_both([line + copy])
        else:
            _inbox_and_copies.write(line + copy)
    elif len(body) > SMALL_BYTES:
        _copy_in([line])
    else:
        _inbox.write(line)


def reject_message(*, source_id: int, message_id: str, code: str, received_at: datetime) -> None:
    """Keep a row that says why a single message was refused.

    Parameters
    ----------
    message_id : str
        As sent, or one made for this row.
    code : str
        Of the fault.
    """
    hour = _hour(received_at)
    _execute(REJECT, [source_id, message_digest(message_id), received_at, received_at, code, source_id, hour])


def count_unattributed(*, received_at: datetime) -> None:
    """Count a request without a usable source or without items."""
    _execute(COUNT_UNATTRIBUTED, [_hour(received_at)])


def _copy_in(lines: list[str]) -> None:
    on_living_connection(partial(_copy_once, lines))


def _copy_once(lines: list[str]) -> None:
    with connection.cursor() as cursor:
        copy_rows(cursor, "ingestion_inbox", INBOX_COLUMNS, lines)


_inbox = Together(_copy_in)


def _copy_both(pairs: list[str]) -> None:
    on_living_connection(partial(_copy_both_once, pairs))


def _copy_both_once(pairs: list[str]) -> None:
    lines = [line for pair in pairs for line in pair.split("\n")[:2]]
    with transaction.atomic(), connection.cursor() as cursor:
        copy_rows(cursor, "ingestion_inbox", INBOX_COLUMNS, [f"{line}\n" for line in lines[::2]])
        copy_rows(cursor, "ingestion_forwardedcopy", COPY_COLUMNS, [f"{line}\n" for line in lines[1::2]])
    wake_now(FORWARD_TASK)


_inbox_and_copies = Together(_copy_both)


def _execute(statement: str, parameters: Sequence[Any]) -> None:
    on_living_connection(partial(_execute_once, statement, parameters))


def _execute_once(statement: str, parameters: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
