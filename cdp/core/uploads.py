"""Uploaded files: sealed while they arrive, so that none of them ever lies on the disk in the clear."""

from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from cdp.core.sealed_files import SealedWriter, delete_sealed, open_sealed


class SealedUpload(UploadedFile):
    """A file that was uploaded; it goes with the request."""

    def __init__(self, stored: str, **about: Any) -> None:
        super().__init__(file=open_sealed(stored), **about)
        self._stored = stored

    def close(self) -> None:
        """Close the file and delete what is stored of it."""
        file: IO[bytes] | None = self.file
        if file is not None:
            file.close()
        delete_sealed(self._stored)


class SealingUploadHandler(FileUploadHandler):
    """Seals each file part of a form as it arrives, up to the largest file that can be imported."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file."""
        super().new_file(*args, **kwargs)
        self._writer: SealedWriter | None = SealedWriter()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Seal a part of it."""
        assert self._writer is not None
        if start + len(raw_data) > settings.CDP_IMPORT_MAX_BYTES:
            self.upload_interrupted()
            limit = settings.CDP_IMPORT_MAX_BYTES // (1024 * 1024)
            message = f"The file is larger than {limit} MB (CDP_IMPORT_MAX_MB)."
            raise RequestDataTooBig(message)
        self._writer.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> UploadedFile:
        """Finish it."""
        assert self._writer is not None
        stored = self._writer.close()
        self._writer = None
        return SealedUpload(
            stored,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )

    def upload_interrupted(self) -> None:
        """Leave nothing of a file that did not arrive whole."""
        if getattr(self, "_writer", None) is not None:
            assert self._writer is not None
            self._writer.discard()
            self._writer = None
