"""Zora, whose words occur nowhere else, so that finding one means finding her; her erasure by REST."""

from django.db import connection
from django.utils import timezone

from consent.services.running import run_privacy_requests
from tests.ingestion.door import post
from tests.profiles.sending import process

# Words that occur nowhere else, so that finding one means finding her.
EMAIL = "zora.quill@Example.org"
USER_ID = "quill-user-7781"
ANONYMOUS_ID = "anon-quill-5512"
SECRETS = ["zora.quill", USER_ID, ANONYMOUS_ID, "Quillfeather", "quill-order-1"]


def send(key, *items):
    answer = post("/v1/batch", {"batch": list(items)}, key)
    assert answer.status_code == 200
    process(now=timezone.now())


def live(key, near="nobody"):
    """Let Zora sign up, order, and consent; let somebody else mention her."""
    send(
        key,
        {"type": "track", "event": "Seen", "anonymousId": ANONYMOUS_ID, "messageId": "z-1"},
        {
            "type": "identify",
            "userId": USER_ID,
            "anonymousId": ANONYMOUS_ID,
            "traits": {"email": EMAIL, "lastName": "Quillfeather"},
            "messageId": "z-2",
        },
        {
            "type": "track",
            "event": "Order Completed",
            "userId": USER_ID,
            "properties": {"order_id": "quill-order-1"},
            "messageId": "z-3",
        },
        {
            "type": "track",
            "event": "Friend Invited",
            "userId": "somebody-else-1",
            "properties": {"friend": f"Mail {EMAIL}!", "near": near},
            "messageId": "o-1",
        },
    )


def erase(client, *identities):
    named = [{"type": kind, "value": value} for kind, value in identities or [("email", EMAIL)]]
    made = client.post("/api/v1/privacy-requests", {"type": "erasure", "identities": named}, format="json")
    assert made.status_code == 201, made.json()
    assert (made.json()["status"], made.json()["verified_by"]) == ("open", "api")
    address = f"/api/v1/privacy-requests/{made.json()['id']}"
    assert client.post(f"{address}/approve").json()["status"] == "approved"
    run_privacy_requests(clock=timezone.now)
    return client.get(address).json()


def traces(words):
    """Look for words in every row of every table, as somebody from outside would."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            for word in words:
                cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{word}%"])
                if cursor.fetchone()[0]:
                    found.append((table, word))
                hexed = word.encode().hex()
                cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{hexed}%"])
                if cursor.fetchone()[0]:
                    found.append((table, f"hex of {word}"))
        for word in words:
            cursor.execute("SELECT tablename, attname FROM pg_stats s WHERE s::text ILIKE %s", [f"%{word}%"])
            found += cursor.fetchall()
    return found
