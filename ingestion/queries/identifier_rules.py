"""The identity rules as the reading of messages needs them."""

from django.conf import settings

from ingestion.models import Source
from ingestion.spec.identifiers import IdentifierRules
from profiles.identity.rules import RuleSet


def reading_rules(rules: RuleSet) -> IdentifierRules:
    """Return what becomes an identifier where every type may be asserted."""
    return IdentifierRules.build(
        ((one.key, one.priority, one.blocked_values) for one in rules.values()),
        phone_region=settings.CDP_PHONE_REGION,
        normalisers={one.key: one.normaliser for one in rules.values() if one.normaliser != "text"},
        patterns={one.key: one.blocked_patterns for one in rules.values() if one.blocked_patterns},
    )


def rules_by_kind(rules: RuleSet) -> dict[str, IdentifierRules]:
    """Return the same for each kind of source that may not assert every type."""
    return {
        kind: reading_rules({key: one for key, one in rules.items() if one.allows(kind)})
        for kind in Source.Kind.values
        if not all(one.allows(kind) for one in rules.values())
    }
