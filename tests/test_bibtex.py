"""BibTeX entries: what other programs read out of them.

Each entry is read by bibtexparser and pybtex. The slow tests compile lists of references with a
real BibTeX and pdfLaTeX (Debian's texlive-latex-base); without these they are skipped. The
environment variable ASTROSEARCH_REAL_RECORDS names a file of real records, of which all are read
and compiled; without it, the sampler's are.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from astrosearch.corpus import sampler
from astrosearch.corpus.intake import Intake, Selection, read_papers
from astrosearch.papers import Paper
from astrosearch.text.authors import is_et_al, is_group, split_name
from astrosearch.text.bibtex import KEY_STYLES, KeyStyle, entries
from astrosearch.text.tex import to_unicode
from tests.bibliographies import (
    HOSTILE,
    Author,
    Entry,
    errors_of_bibliography,
    read_by_bibtexparser,
    read_by_pybtex,
)

Read = Callable[[str], list[Entry]]


def a_paper(
    title: str = "Dust in early galaxies",
    *,
    id: str = "2401.00001",
    authors: tuple[str, ...] = ("Łucja Nowak",),
    categories: tuple[str, ...] = ("astro-ph.GA", "astro-ph.CO"),
    published: date = date(2024, 1, 2),
    doi: str | None = None,
    journal_ref: str | None = None,
) -> Paper:
    return Paper(
        id, title, "An abstract.", authors, categories, published, doi=doi, journal_ref=journal_ref
    )


def entry(paper: Paper, key_style: KeyStyle = "bibcode") -> str:
    (text,) = entries([paper], key_style)
    return text


def read(paper: Paper) -> Entry:
    (by_bibtexparser,) = read_by_bibtexparser(entry(paper))
    (by_pybtex,) = read_by_pybtex(entry(paper))
    assert by_bibtexparser.authors == by_pybtex.authors
    assert by_bibtexparser.fields.items() >= by_pybtex.fields.items() - {("month", "January")}
    return by_bibtexparser


def keys(papers: Sequence[Paper], key_style: KeyStyle = "author-year") -> list[str]:
    return [text.partition("{")[2].partition(",")[0] for text in entries(papers, key_style)]


# --- entries ---


def test_a_preprint_is_written_as_ads_and_arxiv_write_it() -> None:
    paper = a_paper(
        r"Dust at $z \sim 7$",
        authors=("Łucja Nowak", "Lighthouse Collaboration"),
        doi="10.1000/example(2024)1",
    )
    assert entry(paper) == (
        "@misc{2024arXiv240100001N,\n"
        "  author = {{Nowak}, {\\L}ucja and {Lighthouse Collaboration}},\n"
        "  title = {{Dust at $z \\sim 7$}},\n"
        "  year = {2024},\n"
        "  month = jan,\n"
        "  doi = {10.1000/example(2024)1},\n"
        "  archivePrefix = {arXiv},\n"
        "  eprint = {2401.00001},\n"
        "  primaryClass = {astro-ph.GA},\n"
        "  url = {https://arxiv.org/abs/2401.00001},\n"
        "  adsurl = {https://ui.adsabs.harvard.edu/abs/2024arXiv240100001N},\n"
        "}"
    )


def test_a_paper_in_a_journal_is_an_article() -> None:
    paper = a_paper(journal_ref="Astron.Astrophys. 690 (2024) A7", authors=("A. Sol", "B. Wu"))
    assert entry(paper) == (
        "@article{2024A&A...690A...7S,\n"
        "  author = {{Sol}, A. and {Wu}, B.},\n"
        "  title = {{Dust in early galaxies}},\n"
        "  journal = {A\\&A},\n"
        "  year = {2024},\n"
        "  volume = {690},\n"
        "  eid = {A7},\n"
        "  pages = {A7},\n"
        "  archivePrefix = {arXiv},\n"
        "  eprint = {2401.00001},\n"
        "  primaryClass = {astro-ph.GA},\n"
        "  url = {https://arxiv.org/abs/2401.00001},\n"
        "  adsurl = {https://ui.adsabs.harvard.edu/abs/2024A&A...690A...7S},\n"
        "}"
    )


@pytest.mark.parametrize(
    ("journal_ref", "doi", "fields"),
    [
        ("ApJ 912, 17-25 (2021)", None, ("ApJ", "912", "17--25", "2021")),
        ("Phys.Rev.D97:043007,2018", None, ("Phys. Rev. D", "97", "043007", "2018")),
        ("MNRAS, 480, 22, 2018", None, ("MNRAS", "480", "22", "2018")),
        (None, "10.1088/0004-637X/745/2/156", ("ApJ", "745", "156", "2012")),
        (
            "ApJ, in press",
            "10.1103/PhysRevLett.116.061102",
            ("Phys. Rev. Lett.", "116", "061102", "2016"),
        ),
        ("Lamp Letters B 5 (2012) 7", None, ("Lamp Letters B", "5", "7", "2012")),
    ],
)
def test_journal_volume_pages_and_year_come_from_the_reference_or_the_doi(
    journal_ref: str | None, doi: str | None, fields: tuple[str, ...]
) -> None:
    article = read(a_paper(journal_ref=journal_ref, doi=doi))
    assert article.kind == "article"
    names = ("journal", "volume", "pages", "year")
    assert tuple(article.fields[name] for name in names) == fields
    assert "month" not in article.fields  # that of the preprint is another one


def test_numbers_of_articles_are_eid_too() -> None:
    for reference, number in (
        ("Phys.Rev.D97:043007,2018", "043007"),
        ("JCAP 02 (2019) 056", "056"),
    ):
        assert read(a_paper(journal_ref=reference)).fields["eid"] == number
    assert "eid" not in read(a_paper(journal_ref="ApJ 912, 17 (2021)")).fields


def test_a_reference_that_is_not_understood_is_a_note() -> None:
    paper = read(a_paper(journal_ref="Proc. of a meeting on lamps & oil"))
    assert (paper.kind, paper.fields["note"]) == ("misc", r"Proc. of a meeting on lamps \& oil")


def test_an_erratum_is_a_note_of_the_article() -> None:
    reference = "ApJ 912, 17 (2021), Erratum: ApJ 913, 2 (2021)"
    paper = read(a_paper(journal_ref=reference))
    assert (paper.kind, paper.fields["note"]) == ("article", "Erratum: ApJ 913, 2 (2021)")


def test_a_doi_cannot_end_its_field() -> None:
    assert read(a_paper(doi=r"10.1000/a}b{c\_d")).fields["doi"] == "10.1000/a%7Db%7Bc_d"
    assert read(a_paper(doi="10.1000/ä b<1>#x")).fields["doi"] == "10.1000/%C3%A4b<1>#x"


def test_a_title_has_braces_that_keep_its_capitals() -> None:
    assert read(a_paper("Dust in M31")).fields["title"] == "{Dust in M31}"


# --- authors ---


@pytest.mark.parametrize(
    ("authors", "field"),
    [
        (("Maartje van der Berg", "Ana Sol"), "{van der Berg}, Maartje and {Sol}, Ana"),
        (("Pia De Luz",), "{De Luz}, Pia"),
        (("Sam Poe Jr.", "Tom Poe III"), "{Poe}, Jr., Sam and {Poe}, III, Tom"),
        (("The Lighthouse Collaboration",), "{The Lighthouse Collaboration}"),
        (("Lamp Team", "Ana Sol"), "{Lamp Team} and {Sol}, Ana"),
        ((r"B. T\'etl{\'a}s", "Étienne Brø"), r"{T{\'e}tl{\'a}s}, B. and {Br{\o}}, {\'E}tienne"),
        (("{O. Unclosed",), "{Unclosed}, O."),
        (("Salt and Pepper",), "{Pepper}, {Salt and}"),
        (("Salt & Pepper", "# Lamp"), r"{Pepper}, {Salt \&} and {Lamp}, {\#}"),
        (("Plato", "et al."), "{Plato} and others"),
        (("Rivas Soler, Eva", "et al.", "C. Ruiz"), "{Rivas Soler}, Eva and {Ruiz}, C. and others"),
        (("Univ. of Lamps, Oil Department", "A. Sol"), None),
    ],
)
def test_names_are_written_so_that_bibtex_splits_them_rightly(
    authors: tuple[str, ...], field: str | None
) -> None:
    text = entry(a_paper(authors=authors))
    if field is not None:
        assert f"  author = {{{field}}}," in text.splitlines()
    assert len(read(a_paper(authors=authors)).authors) == len(authors)


def test_two_parsers_read_the_parts_of_names() -> None:
    authors = ("Sam van Poe Jr.", "Łucja Nowak", "Lighthouse Collaboration", "et al.")
    assert read(a_paper(authors=authors)).authors == [
        Author("van Poe", "Sam", "Jr."),
        Author("Nowak", "Łucja"),
        Author("Lighthouse Collaboration"),
        Author("others"),
    ]


def test_a_paper_without_authors_has_no_author_field() -> None:
    paper = read(a_paper(authors=()))
    assert (paper.key, paper.authors) == ("2024arXiv240100001.", [])


# --- keys ---


@pytest.mark.parametrize(
    ("authors", "key"),
    [
        (("Fenna Hofland",), "Hofland2024"),
        (("Łucja Øster-Müß",), "OsterMuss2024"),
        ((r"B. T\'etl\'as",), "Tetlas2024"),
        (("Maartje van der Berg",), "vanderBerg2024"),
        (("The Lighthouse Collaboration",), "Lighthouse2024"),
        (("張三",), "arXiv2024"),
        ((), "arXiv2024"),
    ],
)
def test_a_key_of_author_and_year_is_ascii(authors: tuple[str, ...], key: str) -> None:
    assert keys([a_paper(authors=authors)]) == [key]


def test_equal_keys_of_author_and_year_get_letters() -> None:
    papers = [
        a_paper(id="2401.00001", authors=("A. dos Santos",)),
        a_paper(id="2401.00002", authors=("B. Sol",)),
        a_paper(id="2401.00003", authors=("C. Dos Santos",)),  # BibTeX takes it for the same
        a_paper(id="2401.00001", authors=("A. dos Santos",)),
    ]
    assert keys(papers) == ["dosSantos2024a", "Sol2024", "DosSantos2024b", "dosSantos2024a"]


def test_the_year_of_a_key_is_the_one_of_the_entry() -> None:
    assert keys([a_paper(authors=("A. Sol",), journal_ref="ApJ 980, 1 (2025)")]) == ["Sol2025"]


def test_papers_of_one_place_are_called_by_their_preprints() -> None:
    papers = [a_paper(id=f"2401.0000{n}", journal_ref="ApJ 960, 1 (2024)") for n in (1, 2)]
    assert keys(papers, "bibcode") == ["2024arXiv240100001N", "2024arXiv240100002N"]
    assert keys(papers[:1], "bibcode") == ["2024ApJ...960....1N"]
    assert keys([papers[0]] * 2, "bibcode") == ["2024ApJ...960....1N"] * 2


# --- real papers ---


# Signs that a text in LaTeX has in another form.
_ALIKE = str.maketrans(
    {"∼": "~", "’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "─": "–", "≪": "«", "≫": "»"}
    | {"〈": "⟨", "〉": "⟩", "●": "•", "∙": "•", "ș": "ş", "ț": "ţ", "\u0331": "", "\u0303": "~"}
    | dict.fromkeys(",‚{}", "")
)


def alike(text: str) -> str:
    """A text without what two spellings of it differ in."""
    text = unicodedata.normalize("NFKC", to_unicode(text)).translate(_ALIKE)
    return re.sub(r"\s+", "", text).replace("''", '"')


def authors_of(paper: Paper) -> list[Author]:
    authors = []
    for name in paper.authors:
        parts = split_name(name)
        if not is_et_al(name):
            whole = not (parts.surname and parts.given) or is_group(name)
            authors.append(
                Author(name) if whole else Author(parts.surname, parts.given, parts.suffix)
            )
    return authors + [Author("others")] * any(map(is_et_al, paper.authors))


def check(papers: Sequence[Paper], read: Read, key_style: KeyStyle) -> None:
    """All papers come back, each with a key of its own and with what its record says."""
    found = read("\n\n".join(entries(papers, key_style)))
    assert [entry.fields["eprint"] for entry in found] == [paper.id for paper in papers]
    assert len({entry.key.lower() for entry in found}) == len(papers)
    wrong = {
        paper.id: faults
        for paper, entry in zip(papers, found, strict=True)
        if (faults := faults_of(entry, paper))
    }
    assert wrong == {}


def faults_of(entry: Entry, paper: Paper) -> list[object]:
    """The fields that do not say what the record does."""
    faults: list[object] = []
    if alike(entry.fields["title"]) != alike(paper.title):
        faults += [entry.fields["title"], paper.title]
    expected = [tuple(map(alike, author)) for author in authors_of(paper)]
    faults += {tuple(map(alike, author)) for author in entry.authors} ^ set(expected)
    if len(entry.authors) != len(expected):
        faults += [len(entry.authors), len(expected)]
    if entry.fields.get("primaryClass", "") != "".join(paper.categories[:1]):
        faults.append(entry.fields["primaryClass"])
    if entry.kind == "misc" and entry.fields["year"] != str(paper.published.year):
        faults.append(entry.fields["year"])
    return faults


def papers_in(file: Path) -> list[Paper]:
    return [
        paper for paper, _, _ in read_papers([file], Selection(), Intake(), lambda refusal: None)
    ]


@pytest.fixture(scope="module")
def real_papers() -> list[Paper]:
    """The papers of a file in the Kaggle snapshot's format, or of any other that is read."""
    name = os.environ.get("ASTROSEARCH_REAL_RECORDS", "")
    if not Path(name).is_file():
        pytest.skip("the environment variable ASTROSEARCH_REAL_RECORDS names no file of records")
    return papers_in(Path(name))


@pytest.mark.parametrize("key_style", KEY_STYLES)
@pytest.mark.parametrize("read", [read_by_bibtexparser, read_by_pybtex])
def test_all_papers_of_the_sampler_come_back_from_a_parser(read: Read, key_style: KeyStyle) -> None:
    check(papers_in(sampler.path()), read, key_style)


@pytest.mark.slow
@pytest.mark.parametrize("read", [read_by_bibtexparser, read_by_pybtex])
def test_all_real_papers_come_back_from_a_parser(real_papers: list[Paper], read: Read) -> None:
    style: KeyStyle = "bibcode" if read is read_by_bibtexparser else "author-year"
    check(real_papers, read, style)


@pytest.mark.slow
def test_a_list_of_hostile_references_compiles(tmp_path: Path) -> None:
    papers = [
        a_paper(
            f"A {text}",
            id=f"2401.{place:05}",
            # BibTeX itself cuts a list of names at 500 characters, in the middle of a macro.
            authors=(f"{text[:20]} Sol", f"Wu, {text[:20]}", text[:20]),
            published=date(1992 + place % 30, 1, 1),
        )
        for place, text in enumerate(HOSTILE, start=1)
    ]
    papers = [
        replace(paper, journal_ref=paper.title, doi=f"10.1000/{paper.id}") for paper in papers
    ]
    text = "\n\n".join(entries(papers))
    assert len(read_by_bibtexparser(text)) == len(read_by_pybtex(text)) == len(HOSTILE)
    assert errors_of_bibliography(tmp_path, text) == []


@pytest.mark.slow
def test_a_list_of_references_of_the_sampler_compiles(tmp_path: Path) -> None:
    papers = papers_in(sampler.path())
    references = [
        "ApJ 912, 17 (2021)",
        "A&A 616, A1 (2018)",
        "Lamps & Oil_1 5, 7 (2012)",
        "A % of #1",
    ]
    papers = [
        replace(paper, journal_ref=references[place % 4]) for place, paper in enumerate(papers)
    ]
    for key_style in KEY_STYLES:
        assert errors_of_bibliography(tmp_path, "\n\n".join(entries(papers, key_style))) == []


@pytest.mark.slow
def test_the_oddest_real_titles_and_names_compile(real_papers: list[Paper], tmp_path: Path) -> None:
    """The 300 papers with the most signs of TeX and letters outside of ASCII in a title or name."""

    def oddness(paper: Paper) -> int:
        return max(
            len(re.findall(r"[\\^_{}$~%&#<>|]|[^\x00-\x7f]", text))
            for text in (paper.title, *paper.authors, "")
        )

    oddest = sorted(real_papers, key=oddness, reverse=True)[:300]
    assert errors_of_bibliography(tmp_path, "\n\n".join(entries(oddest))) == []


@pytest.mark.slow
def test_all_real_papers_compile(real_papers: list[Paper], tmp_path: Path) -> None:
    for start in range(0, len(real_papers), 4000):
        papers = real_papers[start : start + 4000]
        assert errors_of_bibliography(tmp_path, "\n\n".join(entries(papers))) == []
