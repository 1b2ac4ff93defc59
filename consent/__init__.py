"""Consent: what people allowed, and the rights they exercise.

Owns: purposes, notices, the consent ledger and its current state, the gate `may_process`, suppressions,
privacy requests and erasure. `consent.decision` is pure. Never: evaluates segments; reads requests of
collection. Words: purpose, legal basis, notice, decision, withdrawal, objection, suppression, privacy
request, erasure. Below it: `profiles`, `cdp.core`.
"""
