"""A process that says what each part of a text is, by pygments: what it is given comes from a guest.

Some texts keep a lexer at work without end, and a regular expression at work holds up all of its process. So it is not
ours: whoever asks waits as long as it likes and ends it. A request is a line of JSON, `[name, lines]`; so is its
answer: for each line pairs of a length and a kind, one of KINDS by number.
"""

import json
import resource
import sys
from collections.abc import Iterable, Iterator

KINDS = (
    "Keyword",
    "String",
    "Comment",
    "Number",
    "Name.Function",
    "Name.Class",
    "Name.Builtin",
    "Operator",
    "Name.Tag",
)
PLAIN = -1
MOST_BYTES = 1 << 30  # of memory, whatever a text makes a lexer do

Spans = list[tuple[int, int]]


def main() -> None:
    """Answer until there are no more requests."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for line in sys.stdin.buffer:
        name, lines = json.loads(line)
        print(json.dumps(list(coloured(name, lines))), flush=True)


def coloured(name: str, lines: list[str]) -> Iterator[Spans]:
    """For each line its spans; nothing where the name says nothing of what the text is."""
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return
    yield from _by_line((_kind(token), text) for token, text in lexer.get_tokens("\n".join(lines)))


def _kind(token: object) -> int:
    said = str(token).removeprefix("Token.")
    said = said.removeprefix("Literal.")
    return next((number for number, kind in enumerate(KINDS) if said.startswith(kind)), PLAIN)


def _by_line(parts: Iterable[tuple[int, str]]) -> Iterator[Spans]:
    line: Spans = []
    for kind, text in parts:
        first, *others = text.split("\n")
        line.append((len(first), kind))
        for other in others:
            yield line
            line = [(len(other), kind)]
    yield line


if __name__ == "__main__":
    main()
