"""The kernel app: what every other app stands on.

Owns: the error family, the installation's keys and digests, the audit trail and its sealer, the outbox and jobs, the
registries through which lower apps reach higher ones, API keys and access rules, mail, requests to servers of others,
health, metrics and logs.
Never: anything about customers, profiles, messages, consent or segments.
Words: audit entry, sealer, outbox, job, API key, scope, registry.
Below it: nothing.
"""
