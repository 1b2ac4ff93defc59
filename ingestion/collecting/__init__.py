"""Answering the collection addresses, before Django's own request cycle: which one it is, and what goes back.

`routes` tells the addresses apart, `intake` takes messages in, `pixels` turns a query into a message, `documents` are
what SDKs read before they send, `snippet` serves their script, `banner` that of consent, `answers` is what goes back,
`watch` counts it.
"""
