"""Signatures of Standard Webhooks.

References
----------
Standard Webhooks, specification 1.0: HMAC-SHA256 over ``id.timestamp.body``; several signatures, separated by spaces,
while a secret is replaced.
"""

import os
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook

SECRET_BYTES = 32


def make_secret() -> str:
    """Return a new secret."""
    return "whsec_" + b64encode(os.urandom(SECRET_BYTES)).decode()


def sign(*, secrets: Sequence[str], message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers of a webhook, signed with each secret.

    Parameters
    ----------
    secrets : sequence of str
        The present one first.
    message_id : str
        Stays the same when the message is sent again, so that the receiver can tell.
    """
    signatures = [Webhook(secret).sign(msg_id=message_id, timestamp=now, data=body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
