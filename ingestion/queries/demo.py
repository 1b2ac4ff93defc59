"""Whether this installation holds the demo's data, which must be named wherever it is shown."""

from pathlib import Path

MARKS = ("demo.done", "demo.progress")


def has_demo_data(*, data_dir: Path) -> bool:
    """Tell whether the demo was loaded, wholly or in part."""
    return any((data_dir / name).exists() for name in MARKS)
