"""Command-line options made from a settings class."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from training.settings import Option

Command = Callable[..., Any]


def settings_options(settings: type) -> Callable[[Command], Command]:
    """Decorate a command with an option for each field that carries an `Option`, in their order.

    `learning_rate: Annotated[float, Option("Peak.", above=0)] = 3e-4` becomes

        --learning-rate FLOAT RANGE  Peak.  [default: 0.0003; x>0]
    """
    hints = get_type_hints(settings, include_extras=True)

    def decorate(command: Command) -> Command:
        for field in reversed(fields(settings)):
            kind, *notes = get_args(hints[field.name]) or (None,)
            for option in notes:
                if isinstance(option, Option):
                    command = _option(field, kind, option)(command)
        return command

    return decorate


def _option(field: "Field[Any]", kind: Any, option: Option) -> Callable[[Command], Command]:
    name = f"--{field.name.replace('_', '-')}"
    text = f"Experimental: {option.help[0].lower()}{option.help[1:]}"
    text = text if option.experimental else option.help
    default = None if field.default is MISSING else field.default
    if kind is bool:
        return click.option(name, is_flag=True, default=default, help=text)
    return click.option(
        name, type=_click_type(kind, option), default=default, show_default=True, help=text
    )


def _click_type(kind: Any, option: Option) -> Any:
    """The click type of `int`, `float`, `str`, a Literal, or one of them or None."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    (kind,) = [part for part in get_args(kind) or (kind,) if part is not NoneType]
    least = option.above if option.least is None else option.least
    if least is None and option.most is None:
        return kind
    ranges: dict[Any, Any] = {int: click.IntRange, float: click.FloatRange}
    return ranges[kind](least, option.most, min_open=option.above is not None)
