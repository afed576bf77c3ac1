"""How works that a paper cites, or that cite it, look."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astrosearch.cli.console import write
from astrosearch.cli.views.hits import as_json, first_author, readable, write_papers
from astrosearch.cli.views.tables import write_table

if TYPE_CHECKING:
    from astrosearch.search.citation_links import LinkedWork
    from astrosearch.text.bibtex import KeyStyle


def write_works(
    works: "Sequence[LinkedWork]", *, format: str, key: "KeyStyle | None" = None
) -> None:
    """Print works to standard output.

    Args:
        format: of `options.FORMATS`; csv and `options.ENTRIES` have those alone that the index
            has.
        key: how BibTeX entries are called; None means by their bibcodes.
    """
    match format:
        case "json":
            write(as_json([work.as_record() for work in works], indent=True))
        case "jsonl":
            for work in works:
                write(as_json(work.as_record()))
        case "table":
            write_table(("cit.", "year", "id", "paper"), [_row(work) for work in works], right=(0,))
        case _:
            papers = [work.paper for work in works if work.paper]
            if papers:
                write_papers(papers, format=format, key=key, abstracts=False)


def _row(work: "LinkedWork") -> tuple[str, ...]:
    count = f"{work.citations:,}"
    if work.paper is None:
        return count, "", work.key, "(not in the index)"
    paper = work.paper
    author = first_author(paper)
    title = readable(paper.title)
    text = f"{author}: {title}" if author else title
    return count, str(paper.published.year), paper.id, text
