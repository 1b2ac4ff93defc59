"""Segments: audiences that are always current.

Owns: definitions and their immutable versions, membership, its history, the checks that time alone makes due, static
lists. `segments.language` is the pure language (parse, check, compile, sentence, reference evaluation).
Never: writes profiles or events; imports `ingestion`.
Words: segment, definition, version, member, membership, entered, left, next check.
Below it: `consent`, `profiles`, `cdp.core`.
"""
