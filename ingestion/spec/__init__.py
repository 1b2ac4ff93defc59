"""The pure reading of Segment-compatible requests: bytes in, messages or faults out.

Owns: inflating and splitting a request, finding its write key, the limits and faults of a message, clock
correction, what becomes an identifier, and consent objects. All that a `Message` holds can be stored in PostgreSQL.
Never: Django, a clock, randomness, a database. Time and new message ids are arguments.
Words: batch (what one request carried), item (one element as sent), message (an item that was read), fault (why
an item cannot be one), warning (what was changed or left out so that the item could be kept).
"""
