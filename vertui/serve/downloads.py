"""Files that the programs of pages hand over: each is fetched once, by the browser that its page is in."""

import secrets
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from core.tokens import RANDOM_BYTES

PATH = "/download/{key}"  # where textual-serve's script fetches it


class Downloads:
    """Those that nobody has fetched yet, by keys of which each is told to one page."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Path, str]] = {}

    def add(self, file: Path, name: str) -> str:
        """Let a file be fetched, to be saved under this name: its key."""
        key = secrets.token_urlsafe(RANDOM_BYTES)
        self._files[key] = file, name
        return key

    async def fetch(self, request: Request) -> Response:
        """The file, which goes with that."""
        file, name = self._files.pop(request.path_params["key"], (None, ""))
        if file is None or not file.is_file():  # fetched already, or its page was left
            return PlainTextResponse("there is no such file any more\n", 404)
        gone = BackgroundTask(file.unlink, missing_ok=True)
        return FileResponse(file, media_type="application/octet-stream", filename=name, background=gone)

    def forget(self, directory: Path) -> None:
        """The files in it are gone."""
        self._files = {key: one for key, one in self._files.items() if one[0].parent != directory}
