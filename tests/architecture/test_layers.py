"""What may import what."""

from importlinter.cli import lint_imports

from tests.architecture.source import ROOT, files, imported, module_of, name_of

INTERFACES = ("api", "ui", "admin", "tasks", "management")
APPS = ("cdp.core", "cdp.site", "profiles", "consent", "segments", "ingestion")
# The kernel's `api` is what every other app's REST stands on; its pages speak the same problems.
SHARED = ("cdp.core.api",)


def app_of(module: str) -> str | None:
    return next((app for app in APPS if module == app or module.startswith(f"{app}.")), None)


def layer_of(module: str) -> str | None:
    app = app_of(module)
    if app is None or module == app:
        return None
    return module.removeprefix(f"{app}.").split(".")[0]


def test_import_contracts_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_services_and_queries_never_import_interfaces():
    wrong = [
        f"{name_of(path)} imports {target}"
        for path in files()
        if layer_of(module_of(path)) in {"services", "queries", "models", "personal_data", "errors"}
        for target in imported(path)
        if layer_of(target) in INTERFACES and not target.startswith(SHARED)
    ]
    assert wrong == []


def test_interfaces_of_an_app_never_import_each_other():
    wrong = [
        f"{name_of(path)} imports {target}"
        for path in files()
        if (own := layer_of(module_of(path))) in INTERFACES
        for target in imported(path)
        if app_of(target) == app_of(module_of(path))
        and layer_of(target) in INTERFACES
        and layer_of(target) != own
        and not target.startswith(SHARED)
    ]
    assert wrong == []


# Modules among the services that are pure functions, so that reading with them writes nothing.
PURE = ("profiles.services.traits",)


def test_queries_never_import_services():
    wrong = [
        f"{name_of(path)} imports {target}"
        for path in files()
        if layer_of(module_of(path)) == "queries"
        for target in imported(path)
        if layer_of(target) == "services" and not target.startswith(PURE)
    ]
    assert wrong == []


def test_the_root_package_is_empty():
    # Else the pure packages would import Celery with it.
    assert (ROOT / "cdp/__init__.py").read_text().strip() == ""
