"""Answers that hand a file over."""

from io import BufferedReader

from django.http import FileResponse


def download(file: BufferedReader, *, name: str, size: int, content_type: str) -> FileResponse:
    """Return the answer that hands a file over; nothing keeps a copy of it on the way."""
    answer = FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
    answer["Content-Length"] = str(size)
    answer["Cache-Control"] = "no-store"
    return answer
