"""Calls of the application's code, which may raise anything, and may be a coroutine function or none."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


class CallFailed(Exception):  # noqa: N818 - it says what happened
    """The application's code has raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


def call(function: Callable[..., object], *arguments: object) -> Any:  # noqa: ANN401 - whatever the application returns
    """Call a plain function of the application and return what it returns. Raises CallFailed."""
    try:
        return function(*arguments)
    except Exception as error:  # anything, as below
        raise CallFailed(error) from error


async def call_out(function: Callable[..., object], *arguments: object) -> Any:  # noqa: ANN401 - whatever the application returns
    """Call a function of the application and return what it returns, awaited where it is to be. Raises CallFailed."""
    try:
        answer = function(*arguments)
        return await answer if inspect.isawaitable(answer) else answer
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():  # it is we who are cancelled, not something that it waited for
            raise
        raise CallFailed(error) from error
    except Exception as error:  # the application may raise anything
        raise CallFailed(error) from error
