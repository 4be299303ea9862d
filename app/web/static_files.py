"""The files that pages load: read once, and served under names that change with their content."""

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

from starlette.responses import Response

from app.errors import NotFound

PREFIX: Final = "/ui/static"
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_DIGEST_CHARACTERS: Final = 12
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class _File(NamedTuple):
    octets: bytes
    media_type: str


class StaticFiles:
    """The files of the folder `static`."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._files: dict[str, _File] = {}
        for file in sorted(_FOLDER.iterdir()):
            if file.suffix in _TYPES:
                self._add(file)

    def path_of(self, name: str) -> str:
        """The path of the file *name*, which a hash of its content is a part of."""
        return f"{PREFIX}/{self._paths[name]}"

    def answer(self, name: str) -> Response:
        """
        The file whose path ends with *name*.

        Raises:
            NotFound: there is none, or none with that content any more.
        """
        file = self._files.get(name)
        if file is None:
            raise NotFound("This version of the dashboard has no such file. Reload the page.")
        return Response(file.octets, HTTPStatus.OK, _FOR_EVER, file.media_type)

    def _add(self, file: Path) -> None:
        octets = file.read_bytes()
        digest = hashlib.sha256(octets).hexdigest()[:_DIGEST_CHARACTERS]
        # What other files load by its name has its hash in it already.
        is_hashed = digest in file.name
        named = file.name if is_hashed else f"{file.stem}.{digest}{file.suffix}"
        self._paths[file.name] = named
        self._files[named] = _File(octets, _TYPES[file.suffix])
