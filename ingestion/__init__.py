"""Ingestion: from a request to an outcome for every message.

Owns: sources and their write keys, the collection endpoints, the inbox, the processor, messages with their outcomes,
quarantine, held messages and imports. `ingestion.spec` reads messages, purely.
Never: evaluates segments; decides consent; merges by itself (it asks `profiles`).
Words: source, write key, message, item, inbox, outcome, quarantine, held.
Below it: `consent`, `profiles`, `cdp.core`.
"""
