"""Addresses of the pages of segments."""

from django.urls import path

from segments.ui import building, comparing, computing, finding, lists, pages, sharing, versions

urlpatterns = [
    path("lists", lists.static_lists, name="static_lists"),
    path("lists/<slug:key>", lists.static_list, name="static_list"),
    path("lists/<slug:key>/change", lists.change_static_list, name="change_static_list"),
    path("lists/<slug:key>/files/<int:upload_id>", lists.static_list_upload, name="static_list_upload"),
    path("computed-traits", computing.computed_traits, name="computed_traits"),
    path("computed-traits/new", computing.create_computed_trait, name="create_computed_trait"),
    path("computed-traits/<slug:key>", computing.computed_trait, name="computed_trait"),
    path("segments", pages.segments, name="segments"),
    path("segments/new", building.create, name="create_segment"),
    path("segments/templates", building.templates, name="segment_templates"),
    path("segments/compare", comparing.compare, name="compare_segments"),
    path("segments/properties", finding.property_names, name="segment_properties"),
    path("segments/values", finding.values, name="segment_values"),
    path("segments/new/events", finding.events, name="segment_events"),
    path("segments/new/count", finding.count, name="segment_preview_for_builder"),
    path("segments/new/closer", finding.closer, name="segment_closer"),
    path("segments/new/around", finding.around, name="segment_around"),
    path("segments/new/people", finding.people, name="segment_people"),
    path("segments/<slug:key>", pages.segment, name="segment"),
    path("segments/<slug:key>/change", building.change, name="change_segment"),
    path("segments/<slug:key>/status", pages.change_status, name="change_segment_status"),
    path("segments/<slug:key>/duplicate", sharing.duplicate, name="duplicate_segment"),
    path("segments/<slug:key>/tags", sharing.change_tags, name="change_segment_tags"),
    path("segments/<slug:key>/rights", sharing.change_rights, name="change_segment_rights"),
    path("segments/<slug:key>/versions", versions.versions, name="segment_versions"),
    path("segments/<slug:key>/restore", versions.restore, name="restore_segment"),
    path("segments/<slug:key>/definition.json", versions.definition, name="segment_definition"),
    path("segments/<slug:key>/members", pages.members, name="segment_members"),
    path("segments/<slug:key>/history", pages.changes, name="segment_changes"),
    path("segments/<slug:key>/sizes", pages.sizes, name="segment_sizes"),
    path("segments/<slug:key>/overlap", pages.overlap, name="segment_overlap"),
    path("segments/<slug:key>/explain/<uuid:public_id>", pages.explain, name="explain_membership"),
    path("segments/<slug:key>/explain", pages.find_to_explain, name="find_to_explain"),
]
