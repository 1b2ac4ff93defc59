"""Addresses of the pages of profiles."""

from django.urls import path

from profiles.ui import edges, ledgers, merging, people, profile, rates, splitting, trait_rules, traits

urlpatterns = [
    path("profiles", people.profiles, name="profiles"),
    path("profiles/search", people.search, name="search"),
    path("profiles/<uuid:public_id>", profile.profile, name="profile"),
    path("profiles/<uuid:public_id>/timeline", profile.timeline, name="profile_timeline"),
    path("profiles/<uuid:public_id>/origin", profile.origin, name="profile_origin"),
    path("profiles/<uuid:public_id>/event-names", profile.event_names, name="profile_event_names"),
    path("profiles/<uuid:public_id>/merge", merging.compare, name="merge_profile"),
    path("profiles/<uuid:public_id>/merged", merging.merge, name="confirm_merge"),
    path("profiles/<uuid:public_id>/traits", traits.believed, name="profile_traits"),
    path("profiles/<uuid:public_id>/statements", traits.statements, name="profile_statements"),
    path("profiles/<uuid:public_id>/corrections", traits.correct, name="correct_trait"),
    path("profiles/<uuid:public_id>/corrections/<int:correction_id>/lifted", traits.lift, name="lift_correction"),
    path("traits/rules", trait_rules.trait_rules, name="trait_rules"),
    path("profiles/<uuid:public_id>/graph", edges.graph, name="profile_graph"),
    path("profiles/<uuid:public_id>/links", edges.links, name="profile_links"),
    path("profiles/<uuid:public_id>/identifiers", splitting.identifiers, name="profile_identifiers"),
    path("profiles/<uuid:public_id>/split", splitting.compare_split, name="split_profile"),
    path("profiles/<uuid:public_id>/split-off", splitting.split, name="confirm_split"),
    path("profiles/<uuid:public_id>/different", edges.different, name="declare_different"),
    path("links/<int:edge_id>", edges.edge, name="edge"),
    path("links/<int:edge_id>/blocked", edges.block, name="block_edge"),
    path("links/<int:edge_id>/lifted", edges.lift, name="lift_block"),
    path("blocked-links", edges.blocks, name="blocks"),
    path("merges", ledgers.merges, name="merges"),
    path("merges/<int:merge_id>/undo", ledgers.confirm_undo, name="confirm_undo_merge"),
    path("merges/<int:merge_id>/undone", ledgers.undo, name="undo_merge"),
    path("exchange-rates", rates.exchange_rates, name="exchange_rates"),
    path("exchange-rates/<int:rate_id>/deleted", rates.delete_exchange_rate, name="delete_exchange_rate"),
    path("refusals", ledgers.refusals, name="refusals"),
]
