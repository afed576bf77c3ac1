"""`astrosearch refs`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrosearch.cli.console import notify, write
from astrosearch.cli.options import index_option

if TYPE_CHECKING:
    from astrosearch.library.bibtex_text import BibText
    from astrosearch.library.manuscript import Reference


@click.command()
@click.argument("main", metavar="MAIN.tex", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The BibTeX file to write; entries that it has stay. By default standard output.",
)
@index_option
def refs(main: Path, out: Path | None, index_name: str | None) -> None:
    """Write the BibTeX entries of what a LaTeX document cites.

    What \\cite names is looked for in your library, by key, arXiv identifier, DOI or bibcode, and
    then in the index. Files of \\input and \\include are read, too. Entries get the keys that the
    document uses.

    A FILE that exists is added to: what it has stays as it is, so the command can be run again
    after each change of the text. Keys that other files of \\bibliography have are left to them.
    What is not found is listed with the reason; the exit code is then 4.

    \b
    astrosearch refs main.tex --out refs.bib
    astrosearch refs main.tex | less
    """
    from astrosearch.cli.library import SHOWN, OpenedIndex
    from astrosearch.errors import NothingFound
    from astrosearch.library.manuscript import add_references, read_manuscript
    from astrosearch.library.store import Library

    manuscript = read_manuscript(main, out)
    for note in manuscript.notes:
        notify(note)
    bib = _existing(out)
    library = Library.read()
    with OpenedIndex(index_name) as searcher:
        text, references = add_references(manuscript, bib, library, searcher)
    if out is None:
        if text:
            write(text.rstrip("\n"))
    elif text != bib.text:
        from astrosearch import atomic

        with atomic.writing(out), atomic.whole_file(out) as stream:
            stream.write(text.encode())
    _tell(references, out)
    missing = [reference for reference in references if not reference.where]
    if missing:
        for place, reference in enumerate(missing):
            near = library.near(reference.key) if place < SHOWN else ""
            notify(f"{reference.key} {reference.told}{near}")
        raise NothingFound(f"{len(missing):,} of {len(references):,} keys were not found")


def _existing(out: Path | None) -> "BibText":
    """A file to be added to; empty if it is not there.

    Raises:
        InputError: if it is something that must not be overwritten.
    """
    from astrosearch.errors import InputError
    from astrosearch.library.bibtex_text import BibText, looks_like_bibtex, parse

    if out is None or not out.exists():
        return BibText("")
    if not out.is_file():
        raise InputError(f"{out} is not a file that can be added to")
    try:
        text = out.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{out} is not UTF-8 ({error.reason}), so nothing is added to it: save it in this "
            "encoding, or name another file"
        ) from None
    if "\0" in text or (text.strip() and not looks_like_bibtex(text)):
        raise InputError(f"{out} exists and is not BibTeX: name another file")
    return parse(text)


def _tell(references: "list[Reference]", out: Path | None) -> None:
    where = [reference.where for reference in references]
    found = where.count("library") + where.count("index")
    parts = [f"{found:,} {'entry' if found == 1 else 'entries'} written"]
    if found:
        parts[0] += f" ({where.count('library'):,} of the library, {where.count('index'):,} of"
        parts[0] += " the index)"
    if there := where.count("file"):
        parts.append(f"{there:,} there already")
    if others := [each.told for each in references if each.where == "elsewhere"]:
        parts.append(f"{len(others):,} in {', '.join(dict.fromkeys(others))}")
    for each in references:
        if each.where in ("library", "index") and each.told != each.key:
            notify(f"{each.key} is the same paper as {each.told}: cite it by one key")
    notify(f"{f'{out}: ' if out else ''}{'; '.join(parts)}")
