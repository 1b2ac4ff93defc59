"""Addresses of the REST API of this app."""

from django.urls import path

from profiles.api import edges, groups, identity, profiles, rates, traits

urlpatterns = [
    path("profiles", profiles.ListProfiles.as_view()),
    path("profiles/lookup", profiles.LookUpProfile.as_view()),
    path("profiles/merge", identity.MergeProfiles.as_view()),
    path("profiles/<str:profile_id>", profiles.ReadProfile.as_view()),
    path("profiles/<str:profile_id>/events", profiles.ListProfileEvents.as_view()),
    path("profiles/<str:profile_id>/identifiers", profiles.ListProfileIdentifiers.as_view()),
    path("profiles/<str:profile_id>/merges", profiles.ListProfileMerges.as_view()),
    path("profiles/<str:profile_id>/changes", profiles.ListProfileChanges.as_view()),
    path("profiles/<str:profile_id>/graph", edges.ReadGraph.as_view()),
    path("profiles/<str:profile_id>/split", identity.SplitProfile.as_view()),
    path("profiles/<str:profile_id>/groups", groups.ListProfileGroups.as_view()),
    path("profiles/<str:profile_id>/traits", traits.ReadBelievedTraits.as_view()),
    path("profiles/<str:profile_id>/statements", traits.ListStatements.as_view()),
    path("profiles/<str:profile_id>/corrections", traits.Corrections.as_view()),
    path("profiles/<str:profile_id>/corrections/<int:correction_id>", traits.OneCorrection.as_view()),
    path("traits/rules", traits.TraitRules.as_view()),
    path("traits/rules/preview", traits.PreviewTraitRules.as_view()),
    path("traits/rules/versions", traits.TraitRuleVersions.as_view()),
    path("groups", groups.Groups.as_view()),
    path("groups/<path:group_id>/members", groups.GroupMembers.as_view()),
    path("groups/<path:group_id>", groups.ReadGroup.as_view()),
    path("exchange-rates", rates.ExchangeRates.as_view()),
    path("exchange-rates/missing", rates.UnconvertedOrders.as_view()),
    path("exchange-rates/<int:rate_id>", rates.OneExchangeRate.as_view()),
    path("merges", identity.ListMerges.as_view()),
    path("merges/<int:merge_id>", identity.ReadMerge.as_view()),
    path("merges/<int:merge_id>/undo", identity.UndoMerge.as_view()),
    path("identity/edges/<int:edge_id>", edges.ReadEdge.as_view()),
    path("identity/edges/<int:edge_id>/block", edges.BlockEdge.as_view()),
    path("identity/blocks", edges.Blocks.as_view()),
    path("identity/blocks/<int:edge_id>", edges.LiftBlock.as_view()),
    path("identity/refusals", identity.ListRefusals.as_view()),
    path("identity/rules", identity.ListRules.as_view()),
]
