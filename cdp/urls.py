"""All addresses of the product. The collection paths are answered earlier, by `ingestion.collect`."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from cdp.core.ui.policy import strict_policy

urlpatterns = [
    path("", include("cdp.core.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", strict_policy(SpectacularSwaggerSplitView.as_view(url_name="schema")), name="docs"),
    path("api/v1/", include("ingestion.api.urls")),
    path("api/v1/", include("profiles.api.urls")),
    path("api/v1/", include("consent.api.urls")),
    path("api/v1/", include("segments.api.urls")),
    path("opendsr/", include("consent.api.opendsr_urls")),
    path("", include("cdp.site.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "cdp.core.ui.errors.bad_request"
handler403 = "cdp.core.ui.errors.forbidden"
handler404 = "cdp.core.ui.errors.not_found"
handler500 = "cdp.core.ui.errors.server_error"
