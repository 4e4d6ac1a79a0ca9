"""What is behind the gate: the page, its files, and the line between a page's terminal and its program."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.errors import Unsupported
from core.patience import patient
from vertui.browser import SAVE
from vertui.serve.downloads import PATH, Downloads
from vertui.serve.program import TerminalProgram

Start = Callable[[int, int], TerminalProgram]

OWN = Path(__file__).parent / "page"
LIBRARY = "textual_serve"
MOST_PAGES = 16  # at once: each is a process of some 80 MB
BUSY = 1013  # of websockets: try again later
COLUMNS, ROWS = 80, 24  # of a page that does not say
LAST_WORDS_S = patient(1.0)  # for what a program that has ended told its page last
FETCH = "deliver_file_start"  # what textual-serve's script calls a file that the browser is to fetch


def pages(start: Start) -> Starlette:
    """The application. `start` makes the program of a page, given its columns and rows."""
    files, downloads = _files(), Downloads()

    async def page(request: Request) -> FileResponse:
        return FileResponse(files[request.url.path])

    open_pages = set[TerminalProgram]()

    async def terminal(line: WebSocket) -> None:
        await line.accept()
        if len(open_pages) >= MOST_PAGES:
            await line.send_bytes(
                f"{MOST_PAGES} pages are open already: close one, then reload this\r\n".encode()
            )
            await line.close(BUSY)
            return
        program = start(_number(line, "width", COLUMNS), _number(line, "height", ROWS))
        open_pages.add(program)
        try:
            await _join(line, program, downloads)
        finally:
            await program.end()
            downloads.forget(program.files)
            open_pages.remove(program)

    return Starlette(
        routes=[
            *(Route(path, page) for path in files),
            Route(PATH, downloads.fetch, methods=["GET"]),
            WebSocketRoute("/ws", terminal),
        ]
    )


async def _join(line: WebSocket, program: TerminalProgram, downloads: Downloads) -> None:
    """Until the program ends or the page is left."""
    ends = [asyncio.create_task(part) for part in (_show(line, program), _type(line, program))]
    told = asyncio.create_task(_tell(line, program, downloads))
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if ends[0].done():  # the program ended by itself
            await asyncio.wait([told], timeout=LAST_WORDS_S)
    finally:
        for task in (*ends, told):
            task.cancel()
        await asyncio.gather(*ends, told, return_exceptions=True)
    with suppress(RuntimeError, WebSocketDisconnect):  # it was left
        await line.close()


async def _show(line: WebSocket, program: TerminalProgram) -> None:
    while data := await program.printed():
        await line.send_bytes(data)


async def _tell(line: WebSocket, program: TerminalProgram, downloads: Downloads) -> None:
    """Hand on what the program says to the page; a file that the page is to save becomes one that it fetches."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), program.told
    )
    try:
        while told := await reader.readline():
            what, of = json.loads(told)
            if what == SAVE:
                key = downloads.add(program.files / Path(of["file"]).name, of["name"])
                what, of = FETCH, key
            await line.send_text(json.dumps([what, of]))
    finally:
        transport.close()


async def _type(line: WebSocket, program: TerminalProgram) -> None:
    """What a page says, as textual-serve's script says it; what is no word of that is passed over."""
    with suppress(WebSocketDisconnect):
        while True:
            try:
                said = json.loads(await line.receive_text())
            except (ValueError, KeyError, RecursionError):
                continue
            match said:
                case ["stdin", str(text)]:
                    await program.type(text.encode(errors="replace"))
                case ["resize", {"width": int(columns), "height": int(rows)}]:
                    program.resize(columns, rows)
                case ["ping", str(sent)]:
                    await line.send_text(json.dumps(["pong", sent]))


def _number(line: WebSocket, name: str, otherwise: int) -> int:
    text = line.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else otherwise


def _files() -> dict[str, Path]:
    """Every file of the page, by its path."""
    found = find_spec(LIBRARY)
    if found is None or not found.submodule_search_locations:
        raise Unsupported("`vertui serve` takes the library textual-serve: `pip install textual-serve`")
    static = Path(found.submodule_search_locations[0]) / "static"
    return {
        "/": OWN / "index.html",
        "/page.js": OWN / "page.js",
        "/page.css": OWN / "page.css",
        "/textual.js": static / "js" / "textual.js",
        "/xterm.css": static / "css" / "xterm.css",
    }
