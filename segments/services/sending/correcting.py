"""A trait that was put right: destinations that were sent the old value are sent the new one (GDPR Art. 19)."""

from django.db import connection

from cdp.core.copying import text_array

# A destination that is switched off is told when it is switched on.
SEND_ANEW = """
INSERT INTO segments_deliverymark (destination_id, profile_id, "full")
SELECT a.destination_id, a.profile_id, true
FROM segments_activated a JOIN segments_destination d ON d.id = a.destination_id
WHERE a.profile_id = %s
  AND EXISTS (
    SELECT FROM jsonb_array_elements(d.columns) c
    WHERE c ->> 'source' = ANY(%s::text[]) OR starts_with(c ->> 'source', %s)
  )
"""


def send_correction(profile_id: int, trait: str) -> None:
    """Let every destination that knows the person and is sent the trait be told of them anew."""
    with connection.cursor() as cursor:
        cursor.execute(SEND_ANEW, [profile_id, text_array([trait, f"trait:{trait}"]), f"trait:{trait}."])
