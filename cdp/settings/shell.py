"""How the shell of all pages looks (unfold)."""

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD = {
    "SITE_TITLE": "Customer Data Platform",
    "SITE_HEADER": "Customer Data",
    "SITE_URL": "/",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("icon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {"navigation": [{"title": "Your account", "link": reverse_lazy("mfa_index")}]},
    "STYLES": [lambda _request: static("cdp.css")],
    "BORDER_RADIUS": "6px",
    # A little lighter than unfold's own, which is too dark to be read on its dark background (WCAG 1.4.3).
    "COLORS": {"primary": {"500": "oklch(66.5% .23 303.9)"}},
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "cdp.site.navigation.sidebar"},
}
