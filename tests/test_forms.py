"""Records as other services write them: every form of its own kind, with nulls and variants."""

import contextlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import astrosearch.corpus
from astrosearch.corpus.forms import FORMS
from astrosearch.corpus.records import paper_from_record, record_from_paper
from astrosearch.errors import RecordError
from astrosearch.papers import Paper
from tests.conftest import Run, kaggle_line


def ads(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "17654321",
        "bibcode": "2022ApJ...912..101V",
        "title": ["Lamps in the <I>dark</I>"],
        "author": ["van der Berg, Maartje", "Poe, S., Jr.", "Lighthouse Collaboration"],
        "abstract": "We weigh H<SUB>2</SUB> at z &lt; 6.",
        "pubdate": "2022-05-00",
        "year": "2022",
        "identifier": ["10.3847/1538-4357/ab1", "2021arXiv211201234V", "arXiv:2112.01234"],
        "doi": ["10.48550/arXiv.2112.01234", "10.3847/1538-4357/ab1"],
        "keyword": ["Astrophysics - Astrophysics of Galaxies"],
        "arxiv_class": ["astro-ph.GA", "astro-ph.CO"],
        "pub": "The Astrophysical Journal",
        "volume": "912",
        "page": ["101"],
    }
    return {**record, **changes}


def arxiv_result(**changes: Any) -> dict[str, Any]:
    record = {
        "entry_id": "http://arxiv.org/abs/2112.01234v2",
        "updated": "2022-01-09T10:00:00+00:00",
        "published": "2021-12-02T18:59:59+00:00",
        "title": "Lamps in\n  the dark",
        "authors": [{"name": "Maartje van der Berg"}, {"name": "Sam Poe Jr."}],
        "summary": "We weigh\nlamps.",
        "comment": "12 pages",
        "journal_ref": "ApJ 912, 101 (2022)",
        "doi": "https://doi.org/10.3847/1538-4357/ab1",
        "primary_category": "astro-ph.GA",
        "categories": ["astro-ph.CO", "astro-ph.GA", "85A40", "J.2"],
        "links": ["http://arxiv.org/abs/2112.01234v2"],
        "pdf_url": "http://arxiv.org/pdf/2112.01234v2",
    }
    return {**record, **changes}


def atom_entry(**changes: Any) -> dict[str, Any]:
    """As feedparser reads an entry."""
    record = {
        "id": "http://arxiv.org/abs/astro-ph/0601001v1",
        "guidislink": True,
        "link": "http://arxiv.org/abs/astro-ph/0601001v1",
        "updated": "2006-01-03T10:00:00Z",
        "published": "2006-01-02T10:00:00Z",
        "title": "Lamps",
        "summary": "We weigh lamps.",
        "authors": [{"name": "Anna Berg"}, {"name": "Bob Doe"}],
        "author": "Bob Doe",
        "arxiv_comment": "4 pages",
        "arxiv_doi": "10.1086/500000",
        "arxiv_journal_ref": "ApJ 636, 1 (2006)",
        "arxiv_primary_category": {"term": "astro-ph", "scheme": "http://arxiv.org/schemas/atom"},
        "tags": [{"term": "gr-qc", "label": None}, {"term": "astro-ph", "label": None}],
    }
    return {**record, **changes}


def semantic_scholar(**changes: Any) -> dict[str, Any]:
    record = {
        "paperId": "0a1b2c",
        "externalIds": {"ArXiv": "2112.01234", "DOI": "10.3847/1538-4357/ab1", "CorpusId": 7},
        "title": "Lamps in the dark",
        "abstract": "We weigh lamps.",
        "authors": [{"authorId": "1", "name": "Maartje van der Berg"}, {"name": "S. Poe"}],
        "year": 2022,
        "publicationDate": "2021-12-02",
        "venue": "ApJ",
        "journal": {"name": "The Astrophysical Journal", "volume": "912", "pages": " 101 - 120 "},
        "s2FieldsOfStudy": [{"category": "Physics", "source": "s2-fos-model"}],
    }
    return {**record, **changes}


def dumped(**changes: Any) -> dict[str, Any]:
    """As in the dumps of Semantic Scholar, with keys in lower case."""
    record = {key.lower(): value for key, value in semantic_scholar().items()}
    return {**record, "corpusid": 7, **changes}


def hugging_face(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "0704.0009",
        "submitter": "A. Berg",
        "authors": "Anna Berg, Bob Doe (1) and C. M\\'endez ((1) Leiden)",
        "title": "Lamps in\n  the dark",
        "comments": "12 pages",
        "journal-ref": "Astrophys.J.663:1-9,2007",
        "doi": "10.1086/518646",
        "abstract": "  We weigh lamps.\n",
        "report-no": None,
        "categories": ["astro-ph gr-qc"],
        "versions": ["v1", "v2"],
    }
    return {**record, **changes}


def test_a_document_of_ads_is_a_paper() -> None:
    assert paper_from_record(ads()) == Paper(
        id="2112.01234",
        title="Lamps in the dark",
        abstract="We weigh H$_2$ at z < 6.",
        authors=("Maartje van der Berg", "S. Poe Jr.", "Lighthouse Collaboration"),
        categories=("astro-ph.GA", "astro-ph.CO"),
        published=date(2021, 12, 1),  # of the preprint, not of the journal
        doi="10.3847/1538-4357/ab1",
        journal_ref="The Astrophysical Journal 912, 101 (2022)",
    )


@pytest.mark.parametrize(
    ("changes", "arxiv_id"),
    [
        ({"identifier": ["2112.01234"]}, "2112.01234"),
        ({"identifier": "arXiv:2112.01234"}, "2112.01234"),
        ({"identifier": ["2021arXiv211201234V"]}, "2112.01234"),
        ({"identifier": None, "doi": [], "bibcode": "2008arXiv0801.1234V"}, "0801.1234"),
        ({"identifier": [], "doi": None, "bibcode": "1994astro.ph..1008M"}, "astro-ph/9401008"),
        ({"identifier": ["arXiv:astro-ph/0601001"]}, "astro-ph/0601001"),
        ({"identifier": [None, "arXiv:2112.01234"]}, "2112.01234"),
        ({"identifier": None}, "2112.01234"),  # from arXiv's own DOI
        ({"identifier": None, "doi": None, "eid": "arXiv:2112.01234"}, "2112.01234"),
        ({"identifier": None, "id": "2112.01234"}, "2112.01234"),
    ],
)
def test_ads_gives_the_arxiv_identifier_in_many_ways(
    changes: dict[str, Any], arxiv_id: str
) -> None:
    assert paper_from_record(ads(**changes)).id == arxiv_id


def test_fields_of_ads_may_be_lists_texts_numbers_or_missing() -> None:
    texts = ads(
        title="Lamps",
        author="Berg, A.; Doe, B.",
        doi="doi:10.1086/1.",
        arxiv_class="astro-ph.GA; gr-qc",
        volume=912,
        page="L1",
        year=2022,
    )
    paper = paper_from_record(texts)
    assert (paper.title, paper.authors, paper.doi) == ("Lamps", ("A. Berg", "B. Doe"), "10.1086/1")
    assert paper.categories == ("astro-ph.GA", "gr-qc")
    assert paper.journal_ref == "The Astrophysical Journal 912, L1 (2022)"
    least = {key: ads()[key] for key in ("bibcode", "title", "abstract", "identifier")}
    paper = paper_from_record(least)
    assert (paper.authors, paper.categories, paper.doi, paper.journal_ref) == ((), (), None, None)
    nulls = {**dict.fromkeys(ads()), **least}
    assert paper_from_record(nulls) == paper
    eprint = paper_from_record(
        ads(pub="arXiv e-prints", page=["arXiv:2112.01234"], pubdate="2021-12-00", volume=None)
    )
    assert (eprint.journal_ref, eprint.published) == (None, date(2021, 12, 1))


def test_a_result_of_arxiv_py_is_a_paper() -> None:
    assert paper_from_record(arxiv_result()) == Paper(
        id="2112.01234",
        title="Lamps in the dark",
        abstract="We weigh lamps.",
        authors=("Maartje van der Berg", "Sam Poe Jr."),
        categories=("astro-ph.GA", "astro-ph.CO"),
        published=date(2021, 12, 2),
        updated=date(2022, 1, 9),
        doi="10.3847/1538-4357/ab1",
        version=2,
        journal_ref="ApJ 912, 101 (2022)",
    )


def test_fields_of_arxiv_py_may_be_lists_texts_numbers_or_missing() -> None:
    texts = arxiv_result(
        authors="Anna Berg, Bob Doe",
        categories="astro-ph.CO astro-ph.GA",
        published="2021-12-02 18:59:59+00:00",
        updated=1641722400000,  # as pandas writes it
        comment=None,
    )
    paper = paper_from_record(texts)
    assert paper.authors == ("Anna Berg", "Bob Doe")
    assert paper.categories == ("astro-ph.GA", "astro-ph.CO")
    assert (paper.published, paper.updated) == (date(2021, 12, 2), date(2022, 1, 9))
    assert paper_from_record(arxiv_result(authors=["Anna Berg"])).authors == ("Anna Berg",)
    least = {"entry_id": "http://arxiv.org/abs/2112.01234v1", "title": "Lamps", "summary": "Lit."}
    paper = paper_from_record(least)
    assert (paper.published, paper.version, paper.authors) == (date(2021, 12, 1), 1, ())
    assert paper_from_record({**dict.fromkeys(arxiv_result()), **least}) == paper
    address = {"pdf_url": "http://arxiv.org/pdf/2112.01234v1", "entry_id": None}
    assert paper_from_record({**least, **address}) == paper
    with pytest.raises(RecordError, match="withdrawn"):
        paper_from_record(arxiv_result(comment="This paper has been withdrawn"))


def test_an_entry_of_the_atom_feed_is_a_paper_whoever_read_it() -> None:
    paper = Paper(
        id="astro-ph/0601001",
        title="Lamps",
        abstract="We weigh lamps.",
        authors=("Anna Berg", "Bob Doe"),
        categories=("astro-ph", "gr-qc"),
        published=date(2006, 1, 2),
        updated=date(2006, 1, 3),
        doi="10.1086/500000",
        version=1,
        journal_ref="ApJ 636, 1 (2006)",
    )
    assert paper_from_record(atom_entry()) == paper
    as_objects = {
        "id": "http://arxiv.org/abs/astro-ph/0601001v1",
        "updated": "2006-01-03T10:00:00Z",
        "published": "2006-01-02T10:00:00Z",
        "title": "Lamps",
        "summary": "We weigh lamps.",
        "author": [{"name": "Anna Berg"}, {"name": "Bob Doe"}],
        "arxiv:doi": {"@xmlns:arxiv": "http://arxiv.org/schemas/atom", "#text": "10.1086/500000"},
        "arxiv:journal_ref": {"#text": "ApJ 636, 1 (2006)"},
        "arxiv:comment": {"#text": "4 pages"},
        "arxiv:primary_category": {"@term": "astro-ph"},
        "category": [{"@term": "astro-ph"}, {"@term": "gr-qc"}],
    }
    assert paper_from_record(as_objects) == paper
    alone = {**as_objects, "author": {"name": "Anna Berg"}, "category": {"@term": "astro-ph"}}
    assert paper_from_record(alone).authors == ("Anna Berg",)


def test_a_paper_of_semantic_scholar_is_a_paper() -> None:
    expected = Paper(
        id="2112.01234",
        title="Lamps in the dark",
        abstract="We weigh lamps.",
        authors=("Maartje van der Berg", "S. Poe"),
        categories=(),
        published=date(2021, 12, 2),
        doi="10.3847/1538-4357/ab1",
        journal_ref="The Astrophysical Journal 912, 101-120 (2022)",
    )
    assert paper_from_record(semantic_scholar()) == expected
    assert paper_from_record(dumped()) == expected
    lower = {"arxiv": "2112.01234", "doi": "10.3847/1538-4357/ab1", "mag": None}
    assert paper_from_record(dumped(externalids=lower)) == expected


def test_fields_of_semantic_scholar_may_be_null_or_missing() -> None:
    least = {
        "paperId": "0a",
        "externalIds": {"ArXiv": "astro-ph/0601001", "DOI": None},
        "title": "Lamps",
        "abstract": "Lit.",
    }
    paper = paper_from_record(least)
    assert (paper.id, paper.published, paper.authors) == ("astro-ph/0601001", date(2006, 1, 1), ())
    assert paper_from_record({**dict.fromkeys(semantic_scholar()), **least}) == paper
    preprint = semantic_scholar(
        journal={"name": "ArXiv", "volume": "abs/2112.01234"}, venue="arXiv.org"
    )
    assert paper_from_record(preprint).journal_ref is None
    venue = semantic_scholar(journal=None, venue="Icarus")
    assert paper_from_record(venue).journal_ref == "Icarus (2022)"
    by_doi = semantic_scholar(externalIds={"DOI": "10.48550/arXiv.2112.01234"})
    assert paper_from_record(by_doi).id == "2112.01234"
    copy = semantic_scholar(
        externalIds={}, openAccessPdf={"url": "https://arxiv.org/pdf/2112.01234.pdf"}
    )
    assert paper_from_record(copy).id == "2112.01234"
    older = {
        "paper_id": "77499681",
        "arxiv_id": "2112.01234",
        "title": "Lamps",
        "abstract": "Lit.",
        "authors": [{"first": "Anna", "middle": ["B."], "last": "van Berg", "suffix": "Jr."}],
        "journal": "ApJ",
        "year": 2022,
    }
    paper = paper_from_record(older)
    assert (paper.authors, paper.journal_ref) == (("Anna B. van Berg Jr.",), "ApJ (2022)")


def test_a_record_of_hugging_face_is_a_paper() -> None:
    paper = paper_from_record(hugging_face())
    assert paper == Paper(
        id="0704.0009",
        title="Lamps in the dark",
        abstract="We weigh lamps.",
        authors=("Anna Berg", "Bob Doe", "C. M\\'endez"),
        categories=("astro-ph", "gr-qc"),
        published=date(2007, 4, 1),
        doi="10.1086/518646",
        version=2,
        journal_ref="Astrophys.J.663:1-9,2007",
    )
    for categories in (["astro-ph", "gr-qc"], "astro-ph gr-qc", ["ASTRO-PH, gr-qc", None]):
        assert paper_from_record(hugging_face(categories=categories)) == paper
    assert paper_from_record(hugging_face(versions="v2")) == paper
    assert paper_from_record(hugging_face(versions=None)).version is None
    with pytest.raises(RecordError, match="withdrawn"):
        paper_from_record(hugging_face(comments="Withdrawn by the author"))


@pytest.mark.parametrize(
    ("record", "reason", "fact"),
    [
        (ads(identifier=None, doi=None), "no arXiv id", "an ADS record .*2022ApJ...912..101V"),
        (semantic_scholar(externalIds=None), "no arXiv id", "a Semantic Scholar record .*0a1b2c"),
        (semantic_scholar(externalIds={"DOI": "10.1/x"}), "no arXiv id", "0a1b2c"),
        (dumped(externalids={"ArXiv": None}), "no arXiv id", "7"),
        (arxiv_result(entry_id=None, pdf_url=None), "no arXiv id", "an arXiv API record .*Lamps"),
        (semantic_scholar(externalIds={"ArXiv": 2112.01234}), "id not a string", "2112.01234"),
        (semantic_scholar(externalIds={"ArXiv": "12"}), "bad id", "'12'"),
        (atom_entry(id="http://arxiv.org/api/errors#x", link=None), "bad id", "errors"),
        (semantic_scholar(abstract=None), "no abstract", "2112.01234"),
        (ads(abstract="Not Available <P />"), "no abstract", "2112.01234"),
        (ads(title=[]), "no title", "2112.01234"),
        (ads(title=None), "no title", "2112.01234"),
        (ads(title=[5]), "bad field", "int"),
        (ads(author=[5]), "bad field", "odd value"),
        (ads(pub={"a": 1}), "bad field", "dict"),
        (semantic_scholar(externalIds=["x"]), "bad field", "list"),
        (semantic_scholar(publicationDate="soon"), "bad field", "'soon' is not a date"),
        (semantic_scholar(authors=7), "bad field", "authors"),
        (arxiv_result(published="soon"), "bad field", "'soon' is not a date"),
        (arxiv_result(summary=""), "no abstract", "2112.01234"),
        (hugging_face(versions=7), "bad field", "odd value"),
    ],
)
def test_what_is_not_a_paper_is_refused_with_its_reason(
    record: dict[str, Any], reason: str, fact: str
) -> None:
    with pytest.raises(RecordError, match=fact) as caught:
        paper_from_record(record)
    assert caught.value.reason == reason


def test_own_fields_beside_those_of_another_form_win() -> None:
    own = {
        "id": "2112.01234",
        "title": "Lamps",
        "abstract": "Ours.",
        "authors": ["Berg, Anna"],
        "published": "2021-12-05",
        "is_summary": True,
        "version": 3,
    }
    paper = paper_from_record(own)
    assert paper.authors == ("Anna Berg",)
    for extra in (
        {"bibcode": "2021arXiv211201234B", "keyword": ["a"]},
        {"summary": "A model's.", "pdf_url": "http://arxiv.org/pdf/2112.01234"},
        {"paperId": "0a1b2c"},
    ):
        assert paper_from_record({**own, **extra}) == paper


ALL = [ads(), arxiv_result(), atom_entry(), semantic_scholar(), dumped(), hugging_face()]


@pytest.mark.parametrize("record", ALL)
def test_a_paper_of_every_form_comes_back_unchanged_from_our_own(record: dict[str, Any]) -> None:
    paper = paper_from_record(record)
    assert paper_from_record(json.loads(json.dumps(record_from_paper(paper)))) == paper


@pytest.mark.parametrize("record", ALL)
def test_any_field_of_a_form_may_be_of_any_kind(record: dict[str, Any]) -> None:
    """It is read or refused, and nothing else is raised."""
    odd_values: list[object] = [
        None,
        "",
        "x",
        5,
        2.5,
        True,
        [],
        {},
        [None],
        [5],
        [[]],
        [{}],
        {"a": []},
        ["x"],
    ]
    for name in record:
        for value in odd_values:
            with contextlib.suppress(RecordError):
                assert paper_from_record({**record, name: value}).id


def test_a_file_may_hold_every_form(run: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "mixed.jsonl", tmp_path / "out.jsonl"
    records = [
        json.loads(kaggle_line(1)),
        ads(identifier=["arXiv:2201.00001"], doi=None),
        ads(identifier=None, doi=None),
        arxiv_result(entry_id="http://arxiv.org/abs/2201.00002v1"),
        atom_entry(),
        semantic_scholar(externalIds={"ArXiv": "2201.00003"}),
        dumped(externalids={"ArXiv": "2201.00004"}),
        hugging_face(),
    ]
    file.write_text("\n".join(map(json.dumps, records)))
    said = run("corpus", "import", file, "--out", out).stderr
    assert "8 lines read, 1 refused (1 no arXiv id)" in said
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert ids == [
        "1102.0001",
        "2201.00001",
        "2201.00002",
        "astro-ph/0601001",
        "2201.00003",
        "2201.00004",
        "0704.0009",
    ]
    run("corpus", "import", file, "--out", out, "--force", "--category", "ASTRO-PH.ga")
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert ids == ["2201.00001", "2201.00002"]


def test_every_key_that_tells_a_form_is_documented() -> None:
    text = (Path(astrosearch.corpus.__file__).parent / "README.md").read_text()
    for form in FORMS:
        assert all(f"`{key}`" in text for key in form.keys)
