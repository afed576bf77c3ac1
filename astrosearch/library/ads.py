"""The user's libraries at ADS (https://ui.adsabs.harvard.edu/help/api/, "libraries")."""

from collections.abc import Sequence
from dataclasses import dataclass

from astrosearch.citations.services import Ads, Asked
from astrosearch.errors import AstrosearchError
from astrosearch.library import facts
from astrosearch.library.store import LibraryPaper
from astrosearch.report import SILENT, Reporter

AT_ONCE = 500
"""Papers that are added by one request."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of papers that were to come into a library at ADS."""

    added: int
    there: int
    """That it had before."""
    unknown: tuple[tuple[LibraryPaper, str], ...] = ()
    """What ADS does not know, each with the reason."""
    is_new: bool = False
    """Whether the library was made for them."""


def push(
    name: str,
    papers: Sequence[LibraryPaper],
    ads: Ads,
    *,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> Pushed:
    """Add papers to the library of a name at ADS, which is made if there is none. What it has
    stays in it, so that pushing twice adds nothing.

    Args:
        dry_run: whether ADS is asked which papers it knows, and nothing is changed; `there` is then
            0.

    Raises:
        AstrosearchError: if ADS does not answer, or refuses.
    """
    unknown: list[tuple[LibraryPaper, str]] = []
    names: dict[str, LibraryPaper] = {}
    for paper in papers:
        identifier = paper.arxiv or facts.doi(paper.entry) or facts.bibcode(paper.entry)
        if identifier is None:
            unknown.append((paper, "it has no arXiv identifier, DOI or bibcode"))
        else:
            names.setdefault(identifier, paper)
    asked = [Asked(name, facts.doi(paper.entry) or "") for name, paper in names.items()]
    known: dict[str, str] = {}
    for found in ads.bibcodes(asked):
        known |= found
        reporter.progress("Asking ADS", len(known), len(asked))
    reporter.progress("Asking ADS", len(asked), len(asked))
    unknown += [
        (paper, f"ADS does not know {name}") for name, paper in names.items() if not known[name]
    ]
    bibcodes = list(dict.fromkeys(filter(None, known.values())))
    if not bibcodes or dry_run:
        return Pushed(len(bibcodes), 0, tuple(unknown))
    library = ads.library(name)
    is_new = library is None
    if library is None:
        library = ads.new_library(name)
    added, refused = 0, set[str]()
    for start in range(0, len(bibcodes), AT_ONCE):
        number, bad = ads.add_to_library(library, bibcodes[start : start + AT_ONCE])
        added, refused = added + number, refused | bad
    by_bibcode = {known[name]: paper for name, paper in names.items()}
    unknown += [(by_bibcode[code], f"ADS refuses {code}") for code in bibcodes if code in refused]
    there = len(bibcodes) - added - len(refused)
    if there < 0:
        raise AstrosearchError(f"ADS says that it added {added:,} of {len(bibcodes):,} papers")
    return Pushed(added, there, tuple(unknown), is_new)
