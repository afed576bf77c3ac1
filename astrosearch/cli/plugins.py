"""Commands that other packages add to the command line: entry points of `astrosearch.commands`.

A package that wants to add `astrosearch orbit` has in its pyproject.toml

    [project.entry-points."astrosearch.commands"]
    orbit = "orbits.cli:orbit"

where `orbit` is a click command or group. Its docstring is read from the source file for
`astrosearch --help`, so that listing a command imports nothing of it.
"""

import ast
import importlib.util
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "astrosearch.commands"


class PluginGroup(click.Group):
    """A group whose commands are its own and those of entry points; of two equal names its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        entry_point = _entry_points().get(cmd_name)
        return None if entry_point is None else _Plugin(entry_point)


def _entry_points() -> "dict[str, EntryPoint]":
    # Here, since it takes 30 ms and most commands are our own.
    from importlib.metadata import entry_points

    return {entry_point.name: entry_point for entry_point in entry_points(group=GROUP)}


class _Plugin(click.Command):
    """Stands for a command of another package until it is run."""

    def __init__(self, entry_point: "EntryPoint") -> None:
        super().__init__(entry_point.name)
        self._entry_point = entry_point

    def get_short_help_str(self, limit: int = 45) -> str:
        self.help = _docstring(self._entry_point.module, self._entry_point.attr)
        return super().get_short_help_str(limit)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> click.Command:
        """
        Raises:
            SetupError: if the package that brings the command is missing or broken.
        """
        from astrosearch.errors import SetupError

        entry_point = self._entry_point
        package = entry_point.dist.name if entry_point.dist else "another package"
        name = f"the command {entry_point.name} of {package} ({entry_point.value})"
        try:
            command = entry_point.load()
        except Exception as error:
            raise SetupError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from error
        if not isinstance(command, click.Command):
            raise SetupError(f"{name} is not a click command but a {type(command).__name__}")
        return command


def _docstring(module: str, attribute: str) -> str:
    """The docstring of a function, read from its file; empty if that cannot be had."""
    try:
        spec = _spec(module)
        if spec is None or spec.origin is None:
            return ""
        body = ast.parse(Path(spec.origin).read_bytes()).body
    except (OSError, ValueError, SyntaxError, ImportError):
        return ""
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node) or ""
    return ""


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is, without importing the packages it is in."""
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package)
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        package = f"{package}.{part}"
        spec = PathFinder.find_spec(package, spec.submodule_search_locations)
    return spec
