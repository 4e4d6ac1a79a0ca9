"""The API's routes for comparing states and carrying files out of them and between them."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

import core.daemon.requests as body
from core.daemon.request_id import RequestId
from core.daemon.streamed import streamed
from core.diff.merge import Prefer
from core.diff.select import Selection
from core.engine import compare
from core.engine.apply import apply
from core.engine.compare import Asked
from core.engine.context import Engine
from core.engine.export import export_files
from core.engine.operations import once
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
        files = Selection.typed(path, ignore)
        asked = Asked(files, mtime, lines, processes, ports, packages, memory, fallback)
        return await compare.diff(engine, a, b, asked)

    @app.get("/v1/siblings")
    async def siblings(ref: Texts, path: Texts, ignore: Texts, mtime: bool = False) -> dict[str, Any]:
        asked = Asked(Selection.typed(path, ignore), mtime)
        return await compare.diff_siblings(engine, ref, asked)

    @app.get("/v1/patch")
    async def patch(
        a: str, path: Texts, ignore: Texts, b: str = "", whole: bool = False
    ) -> StreamingResponse:
        files = Selection.typed(path, ignore)
        return await streamed(compare.patch(engine, a, b, files, whole=whole))

    @app.get("/v1/files")
    async def files(ref: str, path: str, attributes: bool = True) -> StreamingResponse:
        return await streamed(export_files(engine, ref, meant(path), attributes=attributes))

    @app.post("/v1/apply")
    async def apply_(request: body.Apply, request_id: str = RequestId) -> dict[str, Any]:
        prefer = Prefer(request.prefer) if request.prefer else None
        wanted = (request.source, request.target, Selection.typed(request.paths), prefer)
        answer: dict[str, Any] = await once(engine, request_id, lambda: apply(engine, request_id, *wanted))
        return answer
