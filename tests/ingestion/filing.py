"""How tests bring files in, by the command and by REST, and read what became of them."""

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.test import TestCase
from django.utils import timezone

from cdp.core.services.jobs import run_jobs
from ingestion.models import Import
from profiles.models import Profile
from tests.world import api

PEOPLE = "id,email,first,age\n1,ana@x.example,Ana,34\n2,bo@x.example,Bo,51\n"


def command(*arguments: str) -> tuple[str, str, int]:
    """Run `create_import`; return what it wrote, to stdout and stderr, and its status."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        with TestCase.captureOnCommitCallbacks(execute=True):
            call_command("create_import", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    return out.getvalue(), err.getvalue(), code


def import_file(path: Path, *options: str, source: str = "crm") -> dict[str, Any]:
    """Import a file by the command, which has to succeed; return what it printed."""
    out, err, code = command(source, str(path), *options)
    assert (err, code) == ("", 0), err
    answer: dict[str, Any] = json.loads(out.splitlines()[0])
    return answer


def write(path: Path, content: str | bytes) -> Path:
    """Write a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    """Return lines of CSV without quotes."""
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def counts(answer: dict[str, Any]) -> dict[str, int]:
    """Return the counts of an import that are not 0."""
    names = ("created", "updated", "unchanged", "deleted", "rejected", "suppressed", "duplicate")
    return {name: answer[name] for name in names if answer[name]}


def traits() -> dict[str, dict[str, Any]]:
    """Return the traits of every profile by the key of its record."""
    return {
        identifier.value.partition("/")[2]: profile.traits
        for profile in Profile.objects.prefetch_related("identifiers__type")
        for identifier in profile.identifiers.all()
        if identifier.type.key == "record_id"
    }


def post_file(content: str | bytes, mapping: dict[str, Any], *scopes: str, **fields: Any) -> Any:
    """Send a file to REST as multipart/form-data."""
    raw = content.encode() if isinstance(content, str) else content
    file = io.BytesIO(raw)
    file.name = "people.csv"
    body = {"file": file, "mapping": json.dumps(mapping), **fields}
    return api(*(scopes or ("sources:write",))).post("/api/v1/imports", body, format="multipart")


def work() -> None:
    """Run the jobs that wait."""
    while run_jobs():
        pass


def stopped_after(import_id: int) -> int:
    """Return how many rows of an import are done."""
    return Import.objects.get(pk=import_id).rows


def now() -> Any:
    """Return the present."""
    return timezone.now()
