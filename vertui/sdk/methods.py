"""Verbs as methods: what a method takes is what the verb's value takes, and its help is the verb's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from inspect import Signature, signature
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from core.verbs.base import Verb, help_of
from vertui.sdk.away import away

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")


class Blocking:
    """What asks, and blocks until there is an answer."""

    @property
    def ref(self) -> str:
        """What names it to the daemon."""
        raise NotImplementedError

    def _do(self, verb: Verb[A]) -> A:
        """A verb's answer."""
        raise NotImplementedError


class Awaiting:
    """What is awaited, beside what blocks and asks for it in other threads."""

    _blocking: Any


class Method(Generic[P, R]):
    """A verb as a method. `own` fills the verb's first field with what it is a method of, `turn` makes what is given
    of it and the answer.
    """

    def __init__(self, verb: type[Verb[Any]], turn: Callable[[Any, Any], Any] | None, *, own: bool) -> None:
        self.verb, self._turn, self._own = verb, turn, own
        self.__doc__ = help_of(verb)

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.__name__ = name

    @cached_property
    def __signature__(self) -> Signature:
        asked = signature(self.verb)
        return asked.replace(parameters=[*asked.parameters.values()][self._own :])

    @overload
    def __get__(self, me: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, me: Blocking, owner: type[object]) -> Callable[P, R]: ...
    @overload
    def __get__(self, me: Awaiting, owner: type[object]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, me: Any, owner: type[object]) -> Any:
        if me is None:
            return self
        blocking: Blocking = me._blocking if isinstance(me, Awaiting) else me

        def answered(answer: Any) -> Any:
            return self._turn(me, answer) if self._turn else answer

        def ask(*given: Any, **named: Any) -> Any:
            own = (blocking.ref,) if self._own else ()
            return answered(blocking._do(self.verb(*own, *given, **named)))

        async def ask_away(*given: Any, **named: Any) -> Any:
            own = (blocking.ref,) if self._own else ()
            return answered(await away(partial(blocking._do, self.verb(*own, *given, **named))))

        asking: Any = ask_away if isinstance(me, Awaiting) else ask
        asking.__name__, asking.__doc__ = self.__name__, self.__doc__
        asking.__signature__ = self.__signature__
        return asking


def of_home(verb: Callable[P, Verb[A]]) -> Method[P, A]:
    """A verb that is asked of a home."""
    return Method(verb, None, own=False)  # type: ignore[arg-type]


def of_branch(verb: Callable[Concatenate[str, P], Verb[A]]) -> Method[P, A]:
    """A verb that is done to a branch, its first field."""
    return Method(verb, None, own=True)  # type: ignore[arg-type]


def turned(verb: Callable[P, Verb[A]], turn: Callable[[Any, A], R]) -> Method[P, R]:
    """A verb of a home whose answer is made into something else."""
    return Method(verb, turn, own=False)  # type: ignore[arg-type]


def turned_here(verb: Callable[Concatenate[str, P], Verb[A]], turn: Callable[[Any, A], R]) -> Method[P, R]:
    """The same of a branch's."""
    return Method(verb, turn, own=True)  # type: ignore[arg-type]


class Later(Generic[P, R]):
    """A method of what blocks, awaited."""

    def __init__(self, method: Callable[Concatenate[Any, P], R]) -> None:
        self._method = method
        self.__doc__, self.__name__ = method.__doc__, getattr(method, "__name__", "")

    @cached_property
    def __signature__(self) -> Signature:
        return signature(self._method)

    @overload
    def __get__(self, me: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, me: Awaiting, owner: type[object]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, me: Any, owner: type[object]) -> Any:
        if me is None:
            return self

        async def ask(*given: P.args, **named: P.kwargs) -> R:
            return await away(partial(self._method, me._blocking, *given, **named))

        ask.__name__, ask.__doc__ = self.__name__, self.__doc__
        return ask
