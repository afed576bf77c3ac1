"""`astrosearch config`: the user's settings."""

from typing import TYPE_CHECKING, Any

import click

from astrosearch.cli.console import notify, write
from astrosearch.cli.options import format_option

if TYPE_CHECKING:
    from astrosearch.config import Config


@click.group()
def config() -> None:
    """Show and edit your settings.

    Settings are in config.toml: the index to search, how many papers are shown and how, and whom
    `astrosearch new` follows. An option wins over an environment variable, which wins over the
    file.

    \b
    astrosearch config edit
    astrosearch config show
    """


@config.command()
def path() -> None:
    """Say where the file is.

    \b
    astrosearch config path
    """
    from astrosearch import paths

    write(str(paths.config_file()))


@config.command()
@format_option("table", "json")
def show(output: str) -> None:
    """Show the settings.

    \b
    astrosearch config show --format json
    """
    import json

    from astrosearch.cli.views.tables import write_facts
    from astrosearch.config import read_config

    settings = read_config()
    for problem in settings.problems:
        notify(problem)
    if output == "json":
        write(json.dumps(_record(settings), indent=2, ensure_ascii=False))
        return
    facts = {
        name: ", ".join(value) if isinstance(value, list) else str(value)
        for name, value in _record(settings).items()
        if value
    }
    if not facts:
        notify("Nothing is set: all defaults hold. To set something: astrosearch config edit")
    write_facts(facts)


def _record(settings: "Config") -> dict[str, Any]:
    names = ("index", "count", "mode", "sort", "format", "key", "columns", "authors", "keywords")
    values = {name: getattr(settings, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }


@config.command()
def edit() -> None:
    """Open the file in your editor, which EDITOR names.

    A new file lists all settings. One that cannot be used is said with its line.

    \b
    astrosearch config edit
    """
    from astrosearch import atomic, paths
    from astrosearch.config import TEMPLATE, read_config
    from astrosearch.errors import AstrosearchError

    file = paths.config_file()
    if not file.exists():
        with atomic.writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic.whole_file(file) as stream:
                stream.write(TEMPLATE.encode())
    try:
        click.edit(filename=str(file))
    except click.ClickException as error:
        raise AstrosearchError(f"{error.message}; EDITOR names another editor") from None
    for problem in read_config().problems:
        notify(problem)


def defaults_of(
    command: click.Command, settings: "Config", *, nested: bool = False
) -> dict[str, Any]:
    """The values that settings give the options of a command, in the form of click's default_map;
    of a group, those of its commands."""
    if isinstance(command, click.Group):
        inner = command.commands.items()
        return {name: defaults_of(one, settings, nested=True) for name, one in inner}
    values: dict[str, Any] = {}
    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        if option.envvar == "ASTROSEARCH_INDEX":
            values[str(option.name)] = settings.index
        elif not nested and command.name in ("query", "similar", "browse", "shell"):
            value = {
                "k": settings.count,
                "mode": settings.mode,
                "sort": settings.sort,
                "output": settings.format,
                "key": settings.key,
            }.get(str(option.name))
            values[str(option.name)] = value
    return {name: value for name, value in values.items() if value is not None}
