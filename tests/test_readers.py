"""Files to papers: formats, dates, selections, and lines that are refused."""

import gzip
import html
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from astrosearch.corpus.intake import Intake, Refusal, Selection, import_papers
from astrosearch.corpus.records import paper_from_record, record_from_paper
from astrosearch.corpus.store import Corpus
from astrosearch.errors import (
    AstrosearchError,
    CorpusError,
    InputError,
    NothingFound,
    RecordError,
)
from astrosearch.papers import Paper
from astrosearch.text.author_lists import split_authors
from astrosearch.text.authors import split_name
from tests.conftest import kaggle_line


def take(
    path: Path, tmp_path: Path, selection: Selection | None = None
) -> tuple[list[Paper], Intake, list[Refusal]]:
    """Everything a build would keep of `path`, and what it would refuse."""
    papers = tmp_path / "papers.sqlite"
    intake = import_papers(
        [path],
        selection or Selection(),
        papers,
        tmp_path / "rejected.jsonl",
    )
    return list(Corpus(papers)), intake, intake.first_refused


def record(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(kaggle_line(4))
    return {**made, **changes}


def test_a_kaggle_record_becomes_a_paper() -> None:
    paper = paper_from_record(
        record(
            id="1605.01938",
            title=" The  final spin\n  of holes",
            authors="Fabian Hofmann, Enrico Barausse and Luciano Rezzolla",
            categories="gr-qc astro-ph.CO",
            abstract="  We revisit\n  the problem. ",
            doi="10.1000/1 10.1000/2",
            versions=[
                {"version": "v1", "created": "Fri, 6 May 2016 10:00:00 GMT"},
                {"version": "v3", "created": "Sat, 07 Oct 2017 00:00:00 GMT"},
            ],
            update_date="2017-10-08",
        )
    )
    assert paper == Paper(
        id="1605.01938",
        title="The final spin of holes",
        abstract="We revisit the problem.",
        authors=("Fabian Hofmann", "Enrico Barausse", "Luciano Rezzolla"),
        categories=("gr-qc", "astro-ph.CO"),
        published=date(2016, 5, 6),
        updated=date(2017, 10, 8),
        doi="10.1000/1",
        version=3,
    )
    assert paper.text == "The final spin of holes\nWe revisit the problem."


def test_the_date_is_of_the_first_version_else_of_the_month_of_the_id() -> None:
    dated = record(
        id="1406.0001", versions=[{"version": "v1", "created": "Mon, 2 Jun 2014 01:02:03 GMT"}]
    )
    assert paper_from_record(dated).published == date(2014, 6, 2)
    assert paper_from_record({**dated, "versions": []}).published == date(2014, 6, 1)
    fresh = {**dated, "versions": [], "update_date": "2014-06-09"}
    assert paper_from_record(fresh).published == date(2014, 6, 9)
    turned = [
        {"version": "v2", "created": "Mon, 7 Sep 2015 01:02:03 GMT"},
        {"version": "v1", "created": "Mon, 2 Jun 2014 01:02:03 GMT"},
    ]
    paper = paper_from_record({**dated, "versions": turned})
    assert (paper.published, paper.version) == (date(2014, 6, 2), 2)
    undated = {**dated, "versions": [], "update_date": None}
    assert paper_from_record(undated).published == date(2014, 6, 1)


def test_parsed_authors_are_preferred_and_free_lists_lose_their_affiliations() -> None:
    parsed = record(authors_parsed=[["Hofmann", "Fabian", ""], ["King", "M. L.", "Jr"]])
    assert paper_from_record(parsed).authors == ("Fabian Hofmann", "M. L. King Jr")
    assert split_authors("A. Riess (1), B. Schmidt and C. Ahn (2) ((1) STScI, (2) ANU)") == (
        "A. Riess",
        "B. Schmidt",
        "C. Ahn",
    )
    assert split_authors("M. L. King, Jr., P. Dirac") == ("M. L. King Jr.", "P. Dirac")
    assert split_authors("Authors: A. Riess (1), C. Ahn (1 and 2) ((1) STScI, (2) A") == (
        "A. Riess",
        "C. Ahn",
    )
    assert split_authors("A. B|C. D") == ("A. B", "C. D")


@pytest.mark.parametrize(
    ("parsed", "text", "parts"),
    [
        ([["Vaziri Rad", "Ali", ""]], "Ali Vaziri Rad", ("Ali", "", "Vaziri Rad", "")),
        ([["McAll", "Nia A.", "V"]], "Nia A. McAll V", ("Nia A.", "", "McAll", "V")),
        ([["Poel", "Anna van der", ""]], "Anna van der Poel", ("Anna", "van der", "Poel", "")),
        ([["Berg", "Anna", "", "Dust Lab"]], "Anna Berg (Dust Lab)", ("Anna", "", "Berg", "")),
        ([["Ruiz", "Maria del Carmen", ""]], "", ("Maria del Carmen", "", "Ruiz", "")),
        ([["And", "Metin", ""]], "Metin And", ("Metin", "", "And", "")),
        ([["V.", "Dobrin D.", ""]], "Dobrin D. V.", ("D. V.", "", "Dobrin", "")),
        ([["Collaboration", "Lamp", ""]], "Lamp Collaboration", ("", "", "Lamp Collaboration", "")),
        ([["O&#039;Dea", "Li\x07v", ""]], "Liv O&#039;Dea", ("Liv", "", "O'Dea", "")),
        ([["Ruksana", "", ""], ["Berg", "A.", ""]], "Ruksana, A. Berg", ("", "", "Ruksana", "")),
        ([["others", "", ""]], "", ("", "", "et al.", "")),
        ([["Okafor", "", ""], ["Nia", "", ""]], "Okafor, Nia", ("Nia", "", "Okafor", "")),
    ],
)
def test_parsed_authors_know_the_parts_of_a_name(
    parsed: list[list[str]], text: str, parts: tuple[str, ...]
) -> None:
    first = paper_from_record(record(authors_parsed=parsed, authors=text)).authors[0]
    assert split_name(first) == parts


def test_an_own_record_comes_back_unchanged() -> None:
    paper = paper_from_record(record(id="astro-ph/9311034v2", doi="10.1/x"))
    again = paper_from_record(json.loads(json.dumps(record_from_paper(paper))))
    assert again == paper
    assert again.version == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "no id"),
        ({"id": 704.0001}, "id not a string"),
        ({"id": "0601001"}, "bad id"),
        ({"abstract": " \n"}, "no abstract"),
        ({"abstract": None}, "no abstract"),
        ({"title": ""}, "no title"),
        ({"abstract": "This paper has been withdrawn by the author."}, "withdrawn"),
        ({"abstract": "Withdrawn due to an error in equation 3."}, "withdrawn"),
        ({"comments": "This submission has been withdrawn by arXiv administrators"}, "withdrawn"),
        ({"title": ["a"]}, "bad field"),
        ({"versions": [{"created": "yesterday"}]}, "bad field"),
        ({"update_date": "2016-99-99"}, "bad field"),
        ({"versions": 5}, "bad field"),
        ({"versions": [{"created": "6 May 2016 00:00:00 +99999999999999999999"}]}, "bad field"),
        ({"id": "2002.09998v" + "9" * 5000}, "bad id"),
        ({"id": "２００２.０９９９７"}, "bad id"),
        ({"abstract": "The authors have withdrawn this paper."}, "withdrawn"),
        ({"versions": [None]}, "bad field"),
        ({"authors_parsed": [None]}, "bad field"),
        ({"categories": 5}, "bad field"),
        ({"categories": [5]}, "bad field"),
        ({"authors": [None]}, "bad field"),
    ],
)
def test_a_record_that_is_no_paper_is_refused_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RecordError) as caught:
        paper_from_record(record(**changes))
    assert caught.value.reason == reason


def test_control_characters_do_not_get_in() -> None:
    assert paper_from_record(record(title="A \x1b[31mred\x07 star\x00")).title == "A [31mred star"
    words = "dust and gas " * 20
    for sign in map(chr, range(0x80)):
        kept = " " if "\t" <= sign <= "\r" else sign if sign.isprintable() else ""
        text = f"{words}of{sign}stars"
        if sign not in "<&":  # which may begin markup
            paper = paper_from_record(record(abstract=text))
            assert paper.abstract == f"{words}of{kept}stars"


def test_a_version_out_of_all_bounds_is_cut_to_what_a_table_holds() -> None:
    paper = paper_from_record(record(versions=[{"version": "v" + "9" * 30, "created": None}]))
    assert paper.version == 999_999_999


def test_a_star_that_has_withdrawn_is_not_a_withdrawn_paper() -> None:
    text = "The claim that the planet was real was withdrawn in 1992; we observe it again."
    assert paper_from_record(record(abstract=text)).abstract == text


def test_bad_lines_are_counted_and_named_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "mixed.json"
    lines = [
        kaggle_line(1),
        '{"id": "1001.0002", "title": ',
        "",
        kaggle_line(2, id=None),
        kaggle_line(1, title="Again"),
        "[1, 2]",
        "x" * 100,
        kaggle_line(3),
    ]
    path.write_text("\n".join(lines))
    papers, intake, refused = take(path, tmp_path)
    assert [paper.id for paper in papers] == ["1102.0001", "1304.0003"]
    assert [(one.line, one.reason) for one in refused] == [
        (2, "broken JSON"),
        (4, "no id"),
        (5, "duplicate id"),
        (6, "not a record"),
        (7, "broken JSON"),
    ]
    assert intake.refused == {
        "broken JSON": 2,
        "no id": 1,
        "duplicate id": 1,
        "not a record": 1,
    }


def test_of_two_records_the_later_version_stays(tmp_path: Path) -> None:
    path = tmp_path / "two.json"
    second = [{"version": "v2", "created": "Fri, 06 May 2016 00:00:00 GMT"}]
    path.write_text(
        "\n".join(
            [kaggle_line(1), kaggle_line(2), kaggle_line(1, abstract="Revised.", versions=second)]
        )
    )
    papers, intake, refused = take(path, tmp_path)
    assert papers[0].abstract == "Revised."
    assert [paper.id for paper in papers] == ["1102.0001", "1203.0002"]
    assert intake.refused == {"duplicate id": 1}
    assert "the earlier line gave way" in refused[0].detail


def test_gzip_and_zip_are_read_without_unpacking_whatever_their_name(
    snapshot: Path, tmp_path: Path
) -> None:
    plain, _, _ = take(snapshot, tmp_path)
    assert len(plain) == 150
    packed = tmp_path / "snapshot.bin"
    packed.write_bytes(gzip.compress(snapshot.read_bytes()))
    assert take(packed, tmp_path)[0] == plain
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.write(snapshot, "arxiv-metadata-oai-snapshot.json")
        zipped.writestr("LICENSE.txt", "CC0")
    assert take(archive, tmp_path)[0] == plain


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is HTML or XML"),
        (b"[]", "holds no record"),
        (b"{\x00\x01\x02", "is a binary file"),
        (b"id,title\n1,2\n", "no line of it begins with '{'"),
    ],
)
def test_a_file_that_is_no_corpus_is_refused_at_once(
    content: bytes, fact: str, tmp_path: Path
) -> None:
    path = tmp_path / "claims.json"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=fact):
        take(path, tmp_path)


def test_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is a directory"):
        take(tmp_path, tmp_path)
    with pytest.raises(CorpusError, match="No such file"):
        take(tmp_path / "nowhere.json", tmp_path)


def test_a_truncated_download_says_after_which_line(snapshot: Path, tmp_path: Path) -> None:
    packed = tmp_path / "cut.json.gz"
    packed.write_bytes(gzip.compress(snapshot.read_bytes())[:-2000])
    with pytest.raises(AstrosearchError, match=r"breaks off or is damaged after line \d+"):
        take(packed, tmp_path)


def test_line_ends_of_windows_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(kaggle_line, range(5))).encode() + b"\r\n")
    papers, intake, _ = take(path, tmp_path)
    assert (len(papers), intake.lines, intake.refused.total()) == (5, 5, 0)
    assert len(take(path, tmp_path, Selection(category="gr-qc"))[0]) == 3


def test_an_own_record_may_lack_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    least = {"id": "2309.06126", "title": "T", "abstract": "A", "published": "2023-09-12"}
    path.write_text(
        json.dumps(least) + "\n" + json.dumps({**least, "id": "2309.06127", "published": None})
    )
    papers, _, _ = take(path, tmp_path)
    assert [(one.authors, one.categories, one.published) for one in papers] == [
        ((), (), date(2023, 9, 12)),
        ((), (), date(2023, 9, 1)),
    ]


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text(kaggle_line(1) + "\n{" + " " * (17 * 2**20) + "}\n" + kaggle_line(2))
    papers, intake, _ = take(path, tmp_path)
    assert len(papers) == 2
    assert intake.refused == {"line too long": 1}


def test_of_many_refusals_all_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    path = tmp_path / "much.json"
    lines = [kaggle_line(1), *["{}"] * 5000, *[kaggle_line(1)] * 5000, *["[]"] * 5000]
    path.write_text("\n".join(lines))
    papers, intake, _ = take(path, tmp_path)
    assert len(papers) == 1
    assert intake.refused == {"no id": 5000, "duplicate id": 5000, "not a record": 5000}
    assert "15,000 refused" in intake.summary()
    assert "the first 10,000 of them listed" in intake.summary()
    assert (tmp_path / "rejected.jsonl").read_bytes().count(b"\n") == 10_000


def test_a_file_whose_beginning_is_refused_is_given_up_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    good = "\n".join(map(kaggle_line, range(20))) + "\n"
    path.write_bytes(gzip.compress((good + "{}\n" * 1_000_000).encode(), compresslevel=1))
    with pytest.raises(CorpusError) as caught:
        take(path, tmp_path, Selection(limit=50))
    assert str(caught.value) == (
        f"{path} is not a corpus: 99,980 of its first 100,000 lines are not papers (99,980 no id)"
    )
    assert (tmp_path / "rejected.jsonl").stat().st_size < 2**21


def test_a_long_file_of_which_a_part_is_refused_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text("{}\n" * 98_000 + (kaggle_line(0, categories="hep-th") + "\n") * 2_001)
    with pytest.raises(NothingFound, match="100,001 lines read"):
        take(path, tmp_path, Selection(primary_only=True, since=date(2030, 1, 1)))


def test_categories_are_selected_anywhere_or_in_first_place(snapshot: Path, tmp_path: Path) -> None:
    anywhere, intake, _ = take(snapshot, tmp_path, Selection(category="gr-qc"))
    assert len(anywhere) == 100
    assert intake.not_selected == 50
    first, _, _ = take(snapshot, tmp_path, Selection(category="gr-qc", primary_only=True))
    assert len(first) == 50
    assert len(take(snapshot, tmp_path, Selection(category="astro-ph"))[0]) == 150


def test_dates_and_limit_select(tmp_path: Path) -> None:
    path = tmp_path / "dated.json"
    path.write_text(
        "\n".join(
            kaggle_line(
                n,
                versions=[{"version": "v1", "created": f"Fri, 15 Jun 20{10 + n:02} 00:00:00 GMT"}],
            )
            for n in range(10)
        )
    )
    selection = Selection(since=date(2012, 6, 15), until=date(2015, 6, 15))
    found, _, _ = take(path, tmp_path, selection)
    assert [paper.published.year for paper in found] == [2012, 2013, 2014, 2015]
    assert len(take(path, tmp_path, Selection(limit=3))[0]) == 3


def test_a_selection_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(InputError, match="2024-02-01, is later than the last, 2024-01-01"):
        Selection(since=date(2024, 2, 1), until=date(2024, 1, 1))
    with pytest.raises(InputError, match=r"a limit of 3 .* a sample of 5 .* one of the two"):
        Selection(limit=3, sample=5)
    with pytest.raises(InputError, match="longer than 50 characters"):
        Selection(category="x" * 60_000)


def test_a_sample_depends_on_the_seed_and_not_on_the_order(snapshot: Path, tmp_path: Path) -> None:
    def ids(path: Path, seed: int) -> set[str]:
        papers, _, _ = take(path, tmp_path, Selection(sample=20, seed=seed))
        assert len(papers) == 20
        return {paper.id for paper in papers}

    backwards = tmp_path / "backwards.json"
    backwards.write_text("\n".join(reversed(snapshot.read_text().splitlines())))
    assert ids(snapshot, 0) == ids(backwards, 0)
    assert ids(snapshot, 0) != ids(snapshot, 1)


def test_the_real_records_are_all_papers(tmp_path: Path) -> None:
    real = Path(__file__).parents[2] / "shared/data/arxiv-metadata-astro.json.gz"
    if not real.exists():
        pytest.skip("the real abstracts are not on this machine")
    papers, intake, _ = take(real, tmp_path, Selection(limit=3000))
    assert len(papers) == 3000
    assert intake.refused.total() == 0


def test_short_dates_of_own_records_are_dates() -> None:
    own = {"id": "1803.00001", "title": "T", "abstract": "A.", "authors": []}
    for text, day in (
        ("2016", date(2016, 1, 1)),
        ("2018", date(2018, 3, 1)),
        ("2018-05", date(2018, 5, 1)),
        ("2018-05-00", date(2018, 5, 1)),
        ("2018-00-00", date(2018, 3, 1)),
        ("0000-00-00", date(2018, 3, 1)),
        ("2018-5-7", date(2018, 5, 7)),
        ("2018/05/07", date(2018, 5, 7)),
        ("20180507", date(2018, 5, 7)),
        ("2018-05-07T23:10:00Z", date(2018, 5, 7)),
        ("2018-05-07 23:10:00.5+00:00", date(2018, 5, 7)),
        ("Mon, 7 May 2018 23:10:00 GMT", date(2018, 5, 7)),
        ("7 May 2018", date(2018, 5, 7)),
        ("May 7, 2018", date(2018, 5, 7)),
        ("August 2018", date(2018, 8, 1)),
        (2016, date(2016, 1, 1)),
        (2018.0, date(2018, 3, 1)),
        (1525734600, date(2018, 5, 7)),
        (1525734600000, date(2018, 5, 7)),
    ):
        assert paper_from_record({**own, "published": text}).published == day
    for odd in ("2018-02-30", "2018-13", "soon", "05/07/2018", True, ["2018"]):
        with pytest.raises(RecordError, match="published"):
            paper_from_record({**own, "published": odd})


def test_versions_may_have_days_in_any_form_and_order() -> None:
    own = {"id": "1803.00001", "title": "T", "abstract": "A.", "update_date": "2021-01-01"}
    first, second = {"version": "v1", "created": "2018-03-05T01:00:00Z"}, {"version": 2}
    orders: list[Any] = [[second, first], [first, {"version": "v2", "created": "2020-01-01"}]]
    for versions in orders:
        paper = paper_from_record({**own, "versions": versions})
        assert (paper.published, paper.version) == (date(2018, 3, 5), 2)
    undated: list[Any] = ["v2", ["v2", "v1"], [{"version": "v2", "created": None}]]
    for versions in undated:
        paper = paper_from_record({**own, "versions": versions})
        assert (paper.published, paper.version) == (date(2018, 3, 1), 2)


def test_categories_are_parted_by_any_usual_sign_and_spelt_as_arxiv_does() -> None:
    for text in (
        "astro-ph.ga|HEP-PH",
        "astro-ph.GA, hep-ph",
        "ASTRO-PH.GA; hep-ph,",
        "astro-ph.GA/hep-ph",
        "astro-ph.GA and hep-ph",
        "astro-ph.GA (Primary), hep-ph",
        "['astro-ph.GA', 'hep-ph']",
        "Astrophysics of Galaxies (astro-ph.GA); High Energy Physics (hep-ph)",
        "astro-ph.GA hep-ph astro-ph.ga 85A40 J.2",
        ["ASTRO-PH.GA", "hep-ph"],
        ["astro-ph.GA hep-ph", None],
        ["astro-ph.ga|hep-ph"],
    ):
        assert paper_from_record(record(categories=text)).categories == ("astro-ph.GA", "hep-ph")


def test_a_category_is_selected_however_a_file_spells_it(tmp_path: Path) -> None:
    path = tmp_path / "spelt.json"
    lines = [kaggle_line(n, categories=text) for n, text in enumerate(("ASTRO-PH.CO", "gr-qc"))]
    path.write_text("\n".join(lines))
    papers, intake, _ = take(path, tmp_path, Selection(category="astro-ph.co"))
    assert [paper.categories for paper in papers] == [("astro-ph.CO",)]
    assert intake.not_selected == 1


def test_markup_of_other_services_becomes_text_and_tex() -> None:
    formula = "<mml:math><mml:msub><mml:mi>M</mml:mi><mml:mn>20</mml:mn></mml:msub></mml:math>"
    title = f"Gas &amp;amp; <i>Gaia</i>: <inline-formula>{formula}</inline-formula>, CO<sub>2</sub>"
    paper = paper_from_record(record(title=title, abstract="At z &lt; 6 and x<y, y > 3."))
    assert paper.title == "Gas & Gaia: $M_{20}$, CO$_2$"
    assert paper.abstract == "At z < 6 and x<y, y > 3."


@pytest.mark.parametrize(
    ("comments", "withdrawn"),
    [
        ("RETRACTED", True),
        ("arXiv admin note: this paper has been withdrawn by arXiv administrators", True),
        ("We have withdrawn this manuscript", True),
        ("8 pages, 2 figures; withdrawn because of a wrong sign", True),
        ("The article is being withdrawn", True),
        ("Withdrawn from Nature, now in MNRAS", False),
        ("An earlier version was withdrawn", False),
        ("Replaces arXiv:1001.0001, which has been withdrawn", False),
        ("The claim of Lamp et al. was retracted", False),
        ("This paper has not been withdrawn", False),
    ],
)
def test_a_paper_is_withdrawn_if_it_says_so_of_itself(comments: str, withdrawn: bool) -> None:
    if withdrawn:
        with pytest.raises(RecordError, match="was withdrawn"):
            paper_from_record(record(comments=comments))
    else:
        assert paper_from_record(record(comments=comments)).id


def test_a_doi_that_is_given_as_an_address_is_a_doi() -> None:
    for doi in (
        "https://doi.org/10.1000/1",
        "http://dx.doi.org/10.1000/1",
        "www.doi.org/10.1000/1/",
        "doi:10.1000/1",
        "doi:doi:10.1000/1",
        "DOI 10.1000/1.",
        "DOI: 10.1000/1,",
        "info:doi/10.1000/1",
        "(10.1000/1)",
        "<https://doi.org/10.1000/1>",
        "https://doi.org/10.1000%2F1",
        "https://example.org/article/10.1000/1/pdf",
        "10.1000/1 (in press)",
        "10.1000/1; 10.1000/2",
        "10.1000/1,10.1000/2",
        "10.1000/1\u200b",
    ):
        assert paper_from_record(record(doi=doi)).doi == "10.1000/1"
    sici = "10.1002/(SICI)1521-3994(199908)320:4/5<163::AID-ASNA163>3.0.CO;2-4"
    for doi in (sici, html.escape(sici), f"({sici})", f"https://doi.org/{sici}."):
        assert paper_from_record(record(doi=doi)).doi == sici
    for other in ("", "none", "in press", "https://doi.org/", "10.1000", None):
        assert paper_from_record(record(doi=other)).doi is None


def test_a_journal_reference_is_kept_without_markup() -> None:
    for key in ("journal-ref", "journal_ref"):
        paper = paper_from_record(record(**{key: " A&amp;A  650,\n A12 <b>(2021)</b>"}))
        assert paper.journal_ref == "A&A 650, A12 (2021)"
    assert paper_from_record(record(**{"journal-ref": " "})).journal_ref is None


def test_what_has_no_width_does_not_get_into_a_title() -> None:
    text = "super&shy;nova\u200b\U000e0041\U000e007f of\u202e a\ufeff star&nbsp;field"
    assert paper_from_record(record(title=text)).title == "supernova of a star field"
