"""The command line: a module a command; each one parses, calls, renders.

Only click is imported here and at the top of the command modules: `astrosearch --help` must
answer at once, so what is heavy is imported in the body of the command that needs it.
"""

import errno
import os
import sys
from typing import Any

import click

from astrosearch import __version__
from astrosearch.cli import (
    compare,
    complete,
    corpus,
    doctor,
    evaluate,
    index,
    indexes,
    models,
    query,
    shell,
    show,
)
from astrosearch.cli.plugins import PluginGroup
from astrosearch.errors import AstrosearchError
from astrosearch.text.tex import one_line

# numpy's threads would go on spinning for milliseconds after a product, and on a laptop's two cores
# that is time taken from what comes after it.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

_NOT_FOR_US = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What the system says of files that may not be read or written, or went away meanwhile."""


class _Group(PluginGroup):
    """The one place where an `AstrosearchError` becomes a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AstrosearchError as error:
            # File names and manifests are others' texts: they must not steer the terminal.
            click.echo(f"astrosearch: {one_line(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as interrupt:
            click.echo(f"\nastrosearch: stopped. {interrupt}".rstrip(), err=True)
            ctx.exit(130)
        except BrokenPipeError:
            # The reader (head, less) has seen enough; keep Python from complaining at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            if error.filename is not None and error.errno in _NOT_FOR_US:
                name = one_line(os.fsdecode(error.filename))
                click.echo(f"astrosearch: {name} cannot be used: {error.strerror}", err=True)
                ctx.exit(1)
            if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            click.echo(f"astrosearch: the answer cannot be written: {error.strerror}", err=True)
            ctx.exit(1)
        except Exception as error:
            import sqlite3

            if not isinstance(error, sqlite3.DatabaseError):
                raise
            click.echo(
                f"astrosearch: the index's papers.sqlite is damaged ({error}); build the index "
                "again: astrosearch index NAME",
                err=True,
            )
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="astrosearch")
def main() -> None:
    """Find astronomy papers by meaning.

    \b
    astrosearch index                        build an index of the embedded sampler
    astrosearch query "magellanic stream"    ask it
    """


for _command in (
    index.index,
    query.query,
    query.similar,
    shell.shell,
    show.show,
    compare.compare,
    complete.complete,
    indexes.indexes,
    evaluate.evaluate,
    corpus.corpus,
    models.models,
    doctor.doctor,
):
    main.add_command(_command)
