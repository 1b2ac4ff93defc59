"""The menu of the shell: what the person may see, in the order of the work."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from cdp.core.access import ADMINISTRATOR, ROLE_SCOPES
from cdp.core.api.principal import principal_of
from cdp.core.queries.rights import kinds_given


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu; `scope` None: for administrators. `kind`: also for who was given one of these to see."""

    title: str
    icon: str
    view: str
    scope: str | None
    kind: str = ""


MENU: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "Customers",
        (
            Entry("Profiles", "person", "profiles", "profiles:read"),
            Entry("Trait rules", "rule", "trait_rules", "identity:read"),
            Entry("Encrypted traits", "lock", "encrypted_traits", "profiles:read"),
        ),
    ),
    (
        "Identity",
        (
            Entry("Merges", "merge", "merges", "identity:read"),
            Entry("Refusals", "block", "refusals", "identity:read"),
            Entry("Blocked links", "link_off", "blocks", "identity:read"),
            Entry("Matching", "join_inner", "matching_models", "identity:read"),
            Entry("Possible duplicates", "difference", "match_candidates", "identity:read"),
            Entry("Identity rules", "fingerprint", "identity_rules", "identity:read"),
        ),
    ),
    (
        "Audiences",
        (
            Entry("Segments", "groups", "segments", "segments:read", "segment"),
            Entry("Computed traits", "function", "computed_traits", "segments:read"),
            Entry("Lists", "list_alt", "static_lists", "segments:read"),
            Entry("Destinations", "send", "destinations", "segments:read", "destination"),
            Entry("Exports", "download", "exports", "segments:read", "segment"),
        ),
    ),
    (
        "Consent",
        (
            Entry("Consent", "how_to_reg", "purposes", "consents:read", "purpose"),
            Entry("Fields and purposes", "label", "field_tags", "consents:read"),
            Entry("Receipts and webhooks", "send", "consent_outward", "consents:read"),
            Entry("Notices", "description", "notices", "consents:read"),
            Entry("Forms", "assignment", "consent_forms", "consents:read"),
            Entry("Banners", "call_to_action", "banners", "consents:read"),
            Entry("Consent imports", "upload_file", "consent_imports", "consents:read"),
            Entry("Preference links", "link", "preference_links", "consents:read"),
        ),
    ),
    (
        "Privacy",
        (
            Entry("Privacy requests", "shield_person", "privacy_requests", "privacy:read"),
            Entry("Records", "menu_book", "records", "privacy:read"),
            Entry("Data map", "account_tree", "data_map", "privacy:read"),
            Entry("Retention", "auto_delete", "retention", "privacy:read"),
            Entry("Legal holds", "gavel", "legal_holds", "privacy:read"),
            Entry("Disclosures", "outbound", "disclosures", "privacy:read"),
            Entry("Recipients", "campaign", "recipients", "privacy:read"),
            Entry("Suppressions", "person_off", "suppressions", "suppressions:read"),
        ),
    ),
    (
        "Collection",
        (
            Entry("Sources", "input", "sources", "sources:read", "source"),
            Entry("Inventory", "inventory_2", "inventory", "sources:read"),
            Entry("Imports", "upload_file", "imports", "sources:read"),
            Entry("Messages", "mail", "messages", "sources:read"),
            Entry("Quarantine", "report", "quarantine", "sources:read"),
            Entry("Exchange rates", "currency_exchange", "exchange_rates", "sources:read"),
            Entry("Replays", "replay", "replays", "sources:read"),
            Entry("Alerts", "notifications", "alerts", "sources:read"),
            Entry("Reconciliation", "compare_arrows", "reconciliations", "sources:read"),
        ),
    ),
    (
        "Installation",
        (
            Entry("Checklist", "checklist", "checklist", "keys:write"),
            Entry("People", "badge", "admin:core_user_changelist", None),
            Entry("Invitations", "outgoing_mail", "admin:core_invitation_changelist", None),
            Entry("API keys", "key", "api_keys", "keys:read"),
            Entry("Jobs", "work_history", "admin:core_job_changelist", None),
            Entry("Audit trail", "history_edu", "audit_trail", "audit:read"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu for the person who is signed in."""
    if not request.user.is_authenticated:
        return []
    principal = principal_of(request)
    scopes = principal.scopes
    # Every role sees the lists; only somebody without one has a menu of what they were given.
    given = kinds_given(user_id=principal.user_id or 0) if not scopes else frozenset()
    is_administrator = scopes >= ROLE_SCOPES[ADMINISTRATOR]
    groups = [{"title": "", "items": [_item("Overview", "home", reverse("overview"))]}]
    for title, entries in MENU:
        items = [
            _item(entry.title, entry.icon, reverse(entry.view))
            for entry in entries
            if (is_administrator if entry.scope is None else entry.scope in scopes or entry.kind in given)
        ]
        if items:
            groups.append({"title": title, "items": items})
    groups.append({"title": "", "items": [_item("API reference", "api", reverse("docs"))]})
    return _mark_here(groups, request.path)


def _item(title: str, icon: str, link: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": link, "active": False}


def _mark_here(groups: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """Mark the entry that the page belongs to: the one whose link is the longest beginning of its address."""
    overview = reverse("overview")
    above = [
        item
        for group in groups
        for item in group["items"]
        if path == item["link"] or (item["link"] != overview and path.startswith(item["link"].rstrip("/") + "/"))
    ]
    if above:
        max(above, key=lambda item: len(item["link"]))["active"] = True
    return groups
