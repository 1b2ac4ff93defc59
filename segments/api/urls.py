"""Addresses of the REST API of this app."""

from django.urls import path

from segments.api import destinations, exports, lists, segments, trying

urlpatterns = [
    path("segments", segments.Segments.as_view()),
    path("segments/preview", segments.PreviewSegment.as_view()),
    path("segments/preview/rows", trying.PreviewRows.as_view()),
    path("segments/preview/people", trying.PreviewPeople.as_view()),
    path("segments/preview/reach", trying.PreviewReach.as_view()),
    path("segments/compare", trying.CompareSegments.as_view()),
    path("segments/values", trying.SuggestValues.as_view()),
    path("segments/<str:key>/sizes", trying.SegmentSizes.as_view()),
    path("segments/<str:key>", segments.OneSegment.as_view()),
    path("segments/<str:key>/members", segments.SegmentMembers.as_view()),
    path("segments/<str:key>/changes", segments.SegmentChanges.as_view()),
    path("segments/<str:key>/versions", segments.SegmentVersions.as_view()),
    path("segments/<str:key>/overlap", segments.SegmentOverlap.as_view()),
    path("segments/<str:key>/explain/<str:profile_id>", segments.ExplainMembership.as_view()),
    path("profiles/<str:profile_id>/segments", segments.ProfileSegments.as_view()),
    path("destinations", destinations.Destinations.as_view()),
    path("destinations/<str:key>", destinations.OneDestination.as_view()),
    path("destinations/<str:key>/test", destinations.TryDestination.as_view()),
    path("destinations/<str:key>/sync", destinations.SyncDestination.as_view()),
    path("destinations/<str:key>/replay", destinations.ReplayDestination.as_view()),
    path("destinations/<str:key>/rotate-secret", destinations.RotateSecret.as_view()),
    path("destinations/<str:key>/deliveries", destinations.Deliveries.as_view()),
    path("exports", exports.Exports.as_view()),
    path("exports/<int:export_id>", exports.OneExport.as_view()),
    path("exports/<int:export_id>/file", exports.ExportFile.as_view()),
    path("export-schedules", exports.ExportSchedules.as_view()),
    path("export-schedules/<int:schedule_id>", exports.OneExportSchedule.as_view()),
    path("lists", lists.StaticLists.as_view()),
    path("lists/<str:key>", lists.OneStaticList.as_view()),
    path("lists/<str:key>/members", lists.StaticListMembers.as_view()),
]
