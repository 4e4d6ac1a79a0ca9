"""The API's routes for comparing states and carrying files out of them."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

from core.daemon.streamed import streamed
from core.diff.select import PathFilter
from core.engine import compare
from core.engine.compare import DiffOptions
from core.engine.context import Engine
from core.engine.export import export_files
from core.names import meant

Texts = Annotated[list[str], Query(default_factory=list)]


def add_comparisons(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""

    @app.get("/v1/diff")
    async def diff(
        a: str, path: Texts, ignore: Texts, b: str = "", mtime: bool = False, lines: bool = False,
        processes: bool = False, ports: bool = False, packages: bool = False, memory: bool = False,
        fallback: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        files = PathFilter.typed(path, ignore)
        asked = DiffOptions(files, mtime, lines, processes, ports, packages, memory, fallback)
        return await compare.diff(engine, a, b, asked)

    @app.get("/v1/siblings")
    async def siblings(ref: Texts, path: Texts, ignore: Texts, mtime: bool = False) -> dict[str, Any]:
        asked = DiffOptions(PathFilter.typed(path, ignore), mtime)
        return await compare.diff_siblings(engine, ref, asked)

    @app.get("/v1/patch")
    async def patch(
        a: str, path: Texts, ignore: Texts, b: str = "", whole: bool = False
    ) -> StreamingResponse:
        files = PathFilter.typed(path, ignore)
        return await streamed(compare.patch(engine, a, b, files, whole=whole))

    @app.get("/v1/files")
    async def files(ref: str, path: str, attributes: bool = True) -> StreamingResponse:
        return await streamed(export_files(engine, ref, meant(path), attributes=attributes))
