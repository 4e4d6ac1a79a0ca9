"""A machine's serial console."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from core.daemon import streams
from core.errors import DaemonUnavailable, VertuiError
from vertui import foreground
from vertui.options import BranchName, new_app
from vertui.session import connect
from vertui.terminal import raw, write

app = new_app()

LEAVE = b"\x1d"  # Ctrl-], as in telnet and virsh


@app.command()
def console(branch: BranchName) -> None:
    """Show a machine's serial console and type into it; Ctrl-] leaves."""
    client = connect()
    with streams.console(client.endpoint, branch) as stream:
        messages, left = iter(stream), threading.Event()
        next(messages)  # a refusal comes before anything is said
        try:
            with raw():
                write(streams.STDERR, f"vertui: console of {branch}: Ctrl-] leaves\r\n".encode())
                _print(islice(messages, 1), left)  # the past, also for an input that is at its end already
                threading.Thread(target=_type, args=(stream, left), daemon=True).start()
                _print(messages, left)
        finally:
            print()  # what follows starts a line of its own


def _type(stream: streams.Stream, left: threading.Event) -> None:
    """Standard input to the console, up to LEAVE or its end."""
    typed, escape = b"", b""
    with suppress(OSError, DaemonUnavailable):  # of a stream that has ended the other thread tells
        while not escape and (data := os.read(foreground.STDIN, foreground.CHUNK_BYTES)):
            typed, escape, _ = data.partition(LEAVE)
            stream.write(typed)
        left.set()
    stream.close()


def _print(messages: Iterable[streams.StreamMessage], left: threading.Event) -> None:
    """What the console prints; that the stream ends is no error once the user has left."""
    try:
        for message in messages:
            if isinstance(message, streams.Output):
                write(message.stream, message.data)
    except VertuiError:
        if not left.is_set():
            raise
