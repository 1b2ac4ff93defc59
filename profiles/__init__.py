"""Profiles: who is who, and what is known about each person.

Owns: identifier types, identifiers, edges, profiles, traits with provenance, events, merges and refusals, and the two
tables of changes (work for those that follow, history for people). `profiles.identity` is the pure resolver.
Never: reads requests, judges consent, evaluates segments.
Words: profile, identifier, edge, component, survivor and absorbed in a merge, refusal, trait, event.
Below it: `cdp.core`.
"""
