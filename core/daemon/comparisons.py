"""The API's routes for comparing states and carrying files out of them."""

from typing import Annotated

from fastapi import FastAPI, Query

from core.daemon.request_id import RequestId
from core.daemon.streamed import OctetStream, streamed
from core.diff.result import Diff, DiffSize, Siblings
from core.diff.select import PathFilter
from core.engine import compare
from core.engine.compare import DiffOptions
from core.engine.context import Engine
from core.engine.export import export_files
from core.engine.tally import REQUEST
from core.names import meant

Texts = Annotated[list[str], Query(default_factory=list)]


def add_comparisons(app: FastAPI, engine: Engine) -> None:
    """Add them to the application."""

    @app.get("/v1/diff")
    async def diff(
        a: str, path: Texts, ignore: Texts, b: str = "", mtime: bool = False, lines: bool = False,
        processes: bool = False, ports: bool = False, connections: bool = False, packages: bool = False,
        memory: bool = False, fallback: bool = True, request_id: str = RequestId,
    ) -> Diff:  # fmt: skip
        REQUEST.set(request_id)
        files = PathFilter.typed(path, ignore)
        asked = DiffOptions(files, mtime, lines, processes, ports, connections, packages, memory, fallback)
        return await compare.diff(engine, a, b, asked)

    @app.get("/v1/siblings")
    async def siblings(
        ref: Texts, path: Texts, ignore: Texts, mtime: bool = False, base: str = ""
    ) -> Siblings:
        asked = DiffOptions(PathFilter.typed(path, ignore), mtime)
        return await compare.diff_siblings(engine, ref, asked, base)

    @app.get("/v1/changes")
    async def changes(a: str, b: str, path: Texts, ignore: Texts, lines: bool = False) -> DiffSize:
        return await compare.changes(engine, a, b, PathFilter.typed(path, ignore), lines=lines)

    @app.get("/v1/patch")
    async def patch(a: str, path: Texts, ignore: Texts, b: str = "", whole: bool = False) -> OctetStream:
        files = PathFilter.typed(path, ignore)
        return await streamed(compare.patch(engine, a, b, files, whole=whole))

    @app.get("/v1/files")
    async def files(ref: str, path: str, attributes: bool = True) -> OctetStream:
        return await streamed(export_files(engine, ref, meant(path), attributes=attributes))
