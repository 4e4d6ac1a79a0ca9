"""Why something would not be done."""

from typing import Self

from core.errors import Conflict, VertuiError


class Refusal(str):
    """Why something would not be done, in one line that names the way out; `kind` is the error it would be."""

    kind: type[VertuiError]

    def __new__(cls, text: str, kind: type[VertuiError] = Conflict) -> Self:
        """The text, of that kind."""
        refusal = super().__new__(cls, text)
        refusal.kind = kind
        return refusal

    def error(self) -> VertuiError:
        """The error to raise."""
        return self.kind(str(self))
