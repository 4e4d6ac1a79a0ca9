"""A small file of the home for nobody else to read: values by their names. No error quotes any of it."""

import json
from pathlib import Path
from typing import Generic, TypeVar

from core.codec import decode, encode
from core.errors import Damaged
from core.files import read_error, write_atomic

T = TypeVar("T")


class KeptFile(Generic[T]):
    """Values of type `kind`. `way_out` is what to do about a file that was damaged."""

    def __init__(self, path: Path, kind: type[T], way_out: str) -> None:
        self._path, self._kind, self._way_out = path, kind, way_out

    def read(self) -> dict[str, T]:
        """All of them. Damaged when the file is not as it was written."""
        try:
            told = json.loads(self._path.read_bytes())
            return {name: decode(self._kind, value) for name, value in dict(told).items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise read_error(error, str(self._path)) from error
        except (ValueError, TypeError):  # which quote what they could not read
            raise Damaged(f"{self._path} is not as it was written: {self._way_out}") from None

    def write(self, values: dict[str, T]) -> None:
        """These and no others, from now on. On failure what was there before stays."""
        write_atomic(self._path, json.dumps(encode(values)).encode())
