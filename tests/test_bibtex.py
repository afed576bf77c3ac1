"""BibTeX entries: what another program reads out of them."""

import re
from dataclasses import replace
from datetime import date

import bibtexparser
import pytest

from astrosearch.papers import Paper
from astrosearch.text.authors import family_name
from astrosearch.text.bibtex import entry, key
from astrosearch.text.tex import to_unicode


def a_paper(
    title: str = "Dust in early galaxies",
    *,
    id: str = "2401.00001",
    authors: tuple[str, ...] = ("Łucja Nowak",),
    categories: tuple[str, ...] = ("astro-ph.GA", "astro-ph.CO"),
    published: date = date(2024, 1, 2),
    doi: str | None = None,
) -> Paper:
    return Paper(id, title, "An abstract.", authors, categories, published, doi=doi)


def fields_of(paper: Paper) -> dict[str, str]:
    library = bibtexparser.parse_string(entry(paper))
    assert library.failed_blocks == []
    (found,) = library.entries
    assert (found.entry_type, found.key) == ("misc", key(paper))
    return {field.key: field.value for field in found.fields}


def test_an_entry_reads_like_the_one_arxiv_exports() -> None:
    paper = a_paper(
        r"Dust at $z \sim 7$",
        authors=("Łucja Nowak", "Lighthouse Collaboration"),
        doi="10.1000/example(2024)1",
    )
    assert entry(paper) == (
        "@misc{nowak2024_2401.00001,\n"
        "  author = {Łucja Nowak and {Lighthouse Collaboration}},\n"
        "  title = {{Dust at $z \\sim 7$}},\n"
        "  year = {2024},\n"
        "  month = jan,\n"
        "  eprint = {2401.00001},\n"
        "  archivePrefix = {arXiv},\n"
        "  primaryClass = {astro-ph.GA},\n"
        "  doi = {10.1000/example(2024)1},\n"
        "  url = {https://arxiv.org/abs/2401.00001},\n"
        "}"
    )


def test_every_field_comes_back_from_a_parser() -> None:
    paper = a_paper(
        id="astro-ph/0601001", published=date(2006, 1, 1), doi="10.1000/x", categories=("astro-ph",)
    )
    assert fields_of(paper) == {
        "author": "Łucja Nowak",
        "title": "{Dust in early galaxies}",
        "year": "2006",
        "month": "jan",
        "eprint": "astro-ph/0601001",
        "archivePrefix": "arXiv",
        "primaryClass": "astro-ph",
        "doi": "10.1000/x",
        "url": "https://arxiv.org/abs/astro-ph/0601001",
    }


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        (r"H$_2$O and $\Lambda$CDM at $10^{-3}$", r"H$_2$O and $\Lambda$CDM at $10^{-3}$"),
        (r"Dust at z \leq 3 and \(R_x\), $$R$$", r"Dust at z $\leq$ 3 and $R_x$, $R$"),
        (r"{\it Gaia} and T\'eglas", r"{\it Gaia} and T\'eglas"),
        ("50% of A & B, #1", r"50\% of A \& B, \#1"),
        (r"50\% of A \& B, \#1", r"50\% of A \& B, \#1"),
        ("SDSS_J1234 and hi_class", r"SDSS\_J1234 and hi\_class"),
        ("CO_2 at 10^{-3} K, H_3^+", "CO$_{2}$ at 10$^{-3}$ K, H$_{3}$$^{+}$"),
        ("Galaxies at z~7 and NGC~1234", r"Galaxies at z$\sim$7 and NGC~1234"),
        ("{unclosed", "unclosed"),
        ("closed}, @misc{evil, title = {x}", "closed, @miscevil, title = {x}"),
        ("a $ too many in $x$", "a $ too many in $x"),
        ("costs US$5", r"costs US\$5"),
        (r"the set \{x", r"the set \ensuremath{\lbrace}x"),
        ("ends in a backslash \\", "ends in a backslash"),
        ("two\nlines\tand \x1b[31mred", "two lines and [31mred"),
        ('"quoted", with = and ,', '"quoted", with = and ,'),
        (r"{a\} b\\} quasar", r"{a\ensuremath{\rbrace} b\\ } quasar"),
        (r"{one\\}{two}", r"{one\\ }{two}"),
        (r"\{a\} and {b}", r"\{a\} and {b}"),
        (r"\input{/etc/passwd} of \write18{rm x}", "input{/etc/passwd} of write18{rm x}"),
        (r"$\catcode`\@=11 \@@input x$", r"$catcode`\@=11 input x$"),
        (r"a $^^5cinput{x}$ star", r"a $^5cinput{x}$ star"),
        (r"\\input as text", r"\\input as text"),
        (r"\expandafter\csname inp\endcsname", r"\expandaftercsname inpendcsname"),
        (r"\begin{filecontents}{x}y\end{filecontents}", "begin{filecontents}{x}yend{filecontents}"),
    ],
)
def test_a_hostile_title_is_made_safe_and_kept(title: str, kept: str) -> None:
    assert fields_of(a_paper(title))["title"] == "{" + kept + "}"


@pytest.mark.parametrize(
    "title", [r"A {\rm km at $x_{1$", "10^-3 of T_eff & {50% $z", r"$N_\mathrm{HI}$ \{a\} US$5"]
)
def test_a_title_made_safe_still_says_the_same(title: str) -> None:
    assert to_unicode(fields_of(a_paper(title))["title"]) == to_unicode(title)


@pytest.mark.parametrize(
    ("authors", "field"),
    [
        (("Maartje van der Berg", "Ana Sol"), "Maartje van der Berg and Ana Sol"),
        (("Pia De Luz",), "De Luz, Pia"),
        (("Sam Poe Jr.",), "Poe, Jr., Sam"),
        (("The Lighthouse Collaboration", "Ana Sol"), "{The Lighthouse Collaboration} and Ana Sol"),
        ((r"B. T\'etl{\'a}s", "{O. Unclosed"), r"B. T\'etl{\'a}s and O. Unclosed"),
        (("Black and White",), "{Black and White}"),
    ],
)
def test_names_are_written_so_that_bibtex_splits_them_rightly(
    authors: tuple[str, ...], field: str
) -> None:
    # A field in braces of its own would lose them to the parser, so the raw line is read.
    assert f"  author = {{{field}}}," in entry(a_paper(authors=authors)).splitlines()


def test_an_author_list_cut_short_ends_with_others() -> None:
    fields = fields_of(a_paper(authors=("Łucja Nowak", "et al.")))
    assert fields["author"] == "Łucja Nowak and others"


def test_a_doi_cannot_end_its_field() -> None:
    assert fields_of(a_paper(doi=r"10.1000/a}b{c\_d"))["doi"] == "10.1000/a%7Db%7Bc_d"


@pytest.mark.parametrize(
    ("authors", "id", "expected"),
    [
        (("Fenna Hofland",), "1605.01938", "hofland2024_1605.01938"),
        (("Łucja Øster-Müß",), "2401.00001", "ostermuss2024_2401.00001"),
        ((r"B. T\'etl\'as",), "2401.00001", "tetlas2024_2401.00001"),
        (("Maartje van der Berg",), "astro-ph/0601001", "vanderberg2024_astro-ph-0601001"),
        (("The Lighthouse Collaboration",), "2401.00001", "lighthouse2024_2401.00001"),
        (("張三",), "2401.00001", "arxiv2024_2401.00001"),
        ((), "2401.00001", "arxiv2024_2401.00001"),
    ],
)
def test_a_key_is_ascii_and_names_author_year_and_identifier(
    authors: tuple[str, ...], id: str, expected: str
) -> None:
    assert key(a_paper(authors=authors, id=id)) == expected


def test_a_paper_without_authors_has_no_author_field() -> None:
    assert "author" not in fields_of(a_paper(authors=()))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Ana Sol", "Sol"),
        ("A. B. de la Costa", "de la Costa"),
        ("Maartje van der Berg", "van der Berg"),
        ("J. in 't Veld", "in 't Veld"),
        ("Pia De Luz", "De Luz"),
        ("Di Wang", "Wang"),
        ("van Dam", "van Dam"),
        ("Sam Poe III", "Poe"),
        ("Poe, Sam", "Poe"),
        ("Plato", "Plato"),
        ("The Lighthouse Collaboration", "The Lighthouse Collaboration"),
        ("", ""),
    ],
)
def test_family_names_keep_their_particles(name: str, family: str) -> None:
    assert family_name(name) == family


def test_names_of_known_parts_keep_them() -> None:
    paper = a_paper(authors=("Rivas Soler, Eva", "et al.", "Lamp Team", "C. de la Torre Ruiz"))
    assert "author = {Rivas Soler, Eva and {Lamp Team} and de la Torre Ruiz, C. and others}" in (
        entry(paper)
    )


@pytest.mark.parametrize(
    "reference",
    ["ApJ 912, 17-25 (2021)", "Phys. Rev. D 97 (2018) 043007", "MNRAS, 480, 22, 2018"],
)
def test_a_journal_reference_makes_an_article(reference: str) -> None:
    paper = replace(a_paper(), journal_ref=reference)
    (read,) = bibtexparser.parse_string(entry(paper)).entries
    fields = {field.key: field.value for field in read.fields}
    assert read.entry_type == "article"
    words = re.findall(r"\w+", f"{fields['journal']} {fields['volume']} {fields['pages']}")
    assert sorted([*words, fields["year"]]) == sorted(re.findall(r"\w+", reference))


def test_a_reference_that_is_not_understood_is_a_note() -> None:
    text = entry(replace(a_paper(), journal_ref="Proc. of a meeting on lamps"))
    assert text.startswith("@misc")
    assert "note = {Proc. of a meeting on lamps}" in text
