"""Consent: what people allowed, and the rights they exercise.

Owns: purposes, notices, the consent ledger and its current state, the gate `may_process`, suppressions,
privacy requests and erasure, the register of disclosures. `consent.decision` is pure. Never: evaluates
segments; reads requests of collection. Words: purpose, legal basis, notice, decision, withdrawal, objection,
suppression, privacy request, erasure, disclosure. Below it: `profiles`, `cdp.core`.
"""
