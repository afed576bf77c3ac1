"""Who cites whom: importing citations, fetching them, and what an index with them answers."""

import asyncio
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from astrosearch.citations.builder import GraphBuilder
from astrosearch.citations.fetch import Answers, fetch, lines
from astrosearch.citations.graph import Graph
from astrosearch.citations.keys import key_of, rank_of
from astrosearch.citations.opened import graph_of
from astrosearch.citations.services import Asked, Known, OpenAlex, PoliteClient
from astrosearch.errors import AstrosearchError, IndexDamaged
from astrosearch.index.manifest import Manifest
from astrosearch.index.reader import Index
from tests.conftest import Run, assert_holds_one_snapshot
from tests.eight_papers import DISKS, PAPERS, lines_of
from tests.servers import QuietHandler, loopback
from tests.servers import serving as at_port


@pytest.fixture
def index(eight_papers: Path, home: Path) -> Path:
    """The folder of an index of eight made-up papers, one a year."""
    shutil.copytree(eight_papers, home)
    manifest = home / "indexes/papers/manifest.json"
    assert str(eight_papers) in manifest.read_text()  # its corpus stays where it was
    return home / "indexes/papers"


Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes records, a line each, and gives the file's path."""

    def write(*records: object, name: str = "citations.jsonl") -> Path:
        path = tmp_path / name
        content = "\n".join(json.dumps(record) for record in records).encode() + b"\n"
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


OWN = (
    {"id": "1404.0004", "references": ["1101.0001", "arXiv:1202.0002v3", "10.1086/300499"]},
    {"id": "1505.00005", "references": ["1101.0001", "10.1000/made.1"]},
    {"id": "1606.00006", "references": ["1202.0002", "1404.0004"]},
    {"id": "2301.00001", "references": ["1101.0001", "1606.00006"]},
)
"""Two of them cite 1202.0002, one by its DOI; 2301.00001 is no paper of the index."""


def references(index: Path, key: str) -> list[str]:
    with Index(index) as opened:
        graph = graph_of(opened)
        assert graph is not None
        [work] = graph.find([key]).tolist()
        return sorted(graph.key(each) for each in graph.references(work).tolist())


def citing(index: Path, key: str) -> list[str]:
    with Index(index) as opened:
        graph = graph_of(opened)
        assert graph is not None
        [work] = graph.find([key]).tolist()
        return sorted(graph.key(each) for each in graph.citations(work).tolist())


# --- keys ---


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("arXiv:2309.06126v2", "2309.06126"),
        ("http://arxiv.org/abs/astro-ph/9401008", "astro-ph/9401008"),
        ("https://doi.org/10.1086/300499", "10.1086/300499"),
        ("10.1051/0004-6361/201322068", "10.1051/0004-6361/201322068"),
        ("doi:10.1093/MNRAS/stx1234", "10.1093/mnras/stx1234"),
        ("https://doi.org/10.48550/arXiv.2309.06126", "2309.06126"),
        ("2012A&A...542A..16R", "2012A&A...542A..16R"),
        ("2023arXiv230906126N", "2309.06126"),
        ("1994astro.ph..1008M", "astro-ph/9401008"),
        ("https://openalex.org/W2741809807", "openalex:W2741809807"),
        ("s2:215416146", "s2:215416146"),
        ("Smith et al. 2009", None),
        ("1513.00001", None),
        ("", None),
        ("10.1/" + "x" * 400, None),
    ],
)
def test_each_usual_spelling_of_a_work_has_one_key(text: str, key: str | None) -> None:
    assert key_of(text) == key


def test_an_arxiv_identifier_says_more_than_a_doi_and_that_more_than_a_number() -> None:
    keys = ["s2:1", "openalex:W1", "2012A&A...542A..16R", "10.1086/1", "astro-ph/9401008"]
    assert sorted(keys, key=rank_of) == keys[::-1]


# --- the graph on disk ---


def built(folder: Path, *works: tuple[list[str], list[str]]) -> Graph:
    builder = GraphBuilder()
    for names, cited in works:
        builder.add(names, cited)
    folder.mkdir()
    assert builder.write(folder, ()) is not None
    return Graph(folder)


def test_references_and_citations_are_each_others_transpose(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    edges = {(int(a), int(b)) for a, b in random.integers(300, size=(4000, 2)) if a != b}
    names = [f"10.1000/{number}" for number in range(300)]
    works = [([names[a]], [names[b]]) for a, b in edges]
    graph = built(tmp_path / "graph", *works, *works[:100], ([names[5]], [names[5]]))
    assert graph.about.references == len(edges)  # twice is once, and nothing cites itself
    where = graph.find(names)
    assert (where >= 0).all()
    place = {int(work): number for number, work in enumerate(where)}
    for number, work in enumerate(where.tolist()):
        cited = {place[each] for each in graph.references(work).tolist()}
        assert cited == {b for a, b in edges if a == number}
        cites = {place[each] for each in graph.citations(work).tolist()}
        assert cites == {a for a, b in edges if b == number}
    assert graph.counts(where).tolist() == [
        sum(b == number for _, b in edges) for number in range(300)
    ]
    assert graph.find(["10.1000/300"]).tolist() == [-1]
    assert graph.counts(np.array([-1])).tolist() == [0]


def test_names_of_one_work_are_one_work_whatever_comes_first(tmp_path: Path) -> None:
    graph = built(
        tmp_path / "graph",
        (["1101.0001"], ["openalex:W7", "10.1000/x"]),
        (["openalex:W8"], ["1202.0002"]),
        (["openalex:W7", "10.1000/x", "1202.0002"], []),
    )
    [first, eighth, same] = graph.find(["1101.0001", "openalex:W8", "1202.0002"]).tolist()
    assert graph.references(first).tolist() == [same]
    assert sorted(graph.citations(same).tolist()) == sorted([first, eighth])
    assert graph.find(["openalex:W7", "10.1000/x"]).tolist() == [-1, -1]


def test_a_graph_without_some_citing_works_counts_the_others(tmp_path: Path) -> None:
    graph = built(
        tmp_path / "graph",
        (["1101.0001"], ["1303.0003"]),
        (["1202.0002"], ["1303.0003", "1404.0004"]),
    )
    first, second, third, fourth = graph.find(["1101.0001", "1202.0002", "1303.0003", "1404.0004"])
    less = graph.without(np.array([second, -1]))
    assert less.counts(np.array([third, fourth])).tolist() == [1, 0]
    assert less.citations(third).tolist() == [first]
    assert less.references(second).tolist() == []
    assert less.reference_counts(np.array([first, second])).tolist() == [1, 0]
    assert graph.counts(np.array([third, fourth])).tolist() == [2, 1]


# --- import ---


def test_references_by_identifier_and_by_doi_are_imported(
    run: Run, index: Path, written: Written
) -> None:
    said = run("citations", "import", written(*OWN)).stderr
    assert "9 new references; now 9 references of 4 works" in said
    assert references(index, "1404.0004") == ["10.1086/300499", "1101.0001", "1202.0002"]
    assert citing(index, "1202.0002") == ["1404.0004", "1505.00005", "1606.00006"]
    run("indexes", "verify")
    assert_holds_one_snapshot(index)
    assert "0 new references" in run("citations", "import", written(*OWN)).stderr


def test_what_cannot_be_used_is_counted_and_told(run: Run, index: Path, written: Written) -> None:
    path = written(
        {"id": "1404.0004", "references": ["1101.0001", "Smith 2009", "Smith 2009"]},
        {"id": "a draft", "references": ["1101.0001"]},
        {"id": "1505.00005", "references": "1101.0001"},
        {"title": "of something else"},
        ["a", "list"],
    )
    with path.open("a") as stream:
        stream.write("{broken\n")
    said = run("citations", "import", path).stderr
    assert "1 new reference; now 1 reference of 1 work" in said
    for told in (
        "3 not used: no identifier that is known, as Smith 2009",
        "1 not used: a work without an identifier, as a draft",
        "1 not used: wrong layout, as citations.jsonl, line 3",
        "1 not used: unknown layout, as citations.jsonl, line 4",
        "1 not used: not an object, as citations.jsonl, line 5",
        "1 not used: broken JSON, as citations.jsonl, line 6",
    ):
        assert told in said
    assert "Traceback" not in said


def test_what_a_record_lacks_among_its_references_costs_no_other(
    run: Run, index: Path, written: Written
) -> None:
    cited = {"paperId": "a" * 40, "externalIds": {"ArXiv": "1101.0001"}}
    said = run(
        "citations",
        "import",
        written(
            {"id": "1404.0004", "references": [{}, None, 7, {"doi": "10.1000/made.1"}]},
            {
                "id": "https://openalex.org/W4",
                "doi": "https://doi.org/10.1000/made.3",
                "locations": [None, {"landing_page_url": None}],
                "referenced_works": ["https://openalex.org/W9", None, -5],
            },
            {"paperId": "b" * 40, "externalIds": None, "references": [None, cited]},
            {"bibcode": "2014MNRAS.440..100W", "reference": [None, "1973A&A....24..337S"]},
            {"bibcode": "2014MNRAS.440..100W", "reference": "1973A&A....24..337S"},
            {"id": "https://openalex.org/W5", "referenced_works": "https://openalex.org/W9"},
        ),
    ).stderr
    assert "4 new references" in said
    assert "6 not used: no identifier that is known" in said
    assert "2 not used: wrong layout" in said
    assert references(index, "1404.0004") == ["1202.0002", "openalex:W9"]


def test_a_file_without_a_reference_changes_nothing(
    run: Run, index: Path, written: Written, tmp_path: Path
) -> None:
    before = (index / "manifest.json").read_bytes()
    said = run("citations", "import", written({"id": "1404.0004", "references": []}), code=4)
    assert "no reference was found in citations.jsonl" in said.stderr
    run("citations", "import", tmp_path / "nowhere", code=2)
    run("citations", "import", tmp_path, code=2)
    (tmp_path / "empty").write_bytes(b"")
    run("citations", "import", tmp_path / "empty", code=2)
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b'{"id": "1404.0004"}\n' * 9)[:-9])
    run("citations", "import", tmp_path / "half.jsonl.gz", code=1)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    assert "identifier_idx" in run("citations", "import", tmp_path / "table.csv", code=2).stderr
    assert (index / "manifest.json").read_bytes() == before
    assert_holds_one_snapshot(index)


def test_astromlab_5s_files_are_read(
    run: Run, index: Path, written: Written, tmp_path: Path
) -> None:
    """https://github.com/tingyuansen/astro-ph_knowledge_graph: numbers below the number of papers
    are papers of theirs, larger ones are other works."""
    graph = written(
        {
            "paper_idx": 0,
            "bibcode": "2014MNRAS.440..100W",
            "all_bibcodes": ["2014MNRAS.440..100W", "2014arXiv1404.0004W"],
            "references": [1, 2, 3, 9],
            "citations": [2],
            "num_references": 4,
            "num_citations": 1,
        },
        {
            "paper_idx": 2,
            "bibcode": "2015arXiv150500005W",
            "all_bibcodes": ["2015arXiv150500005W"],
            "references": [0],
            "citations": [0],
            "num_references": 1,
            "num_citations": 1,
        },
        name="citations_indexed.jsonl.gz",
    )
    said = run("citations", "import", graph).stderr
    assert "3 not used: a number that no file names" in said
    assert references(index, "1404.0004") == ["1505.00005"]
    table = tmp_path / "identifier_mapping_all.csv.gz"
    rows = ["0,1404.0004,arxiv", "1,1101.0001,arxiv", "2,1505.00005,arxiv"]
    rows += ["3,1973A&A....24..337S,external_bibcode"]
    table.write_bytes(gzip.compress("\n".join(["identifier_idx,identifier,type", *rows]).encode()))
    said = run("citations", "import", graph, table).stderr
    assert "1 not used: a number that no file names" in said
    cited = ["1101.0001", "1505.00005", "1973A&A....24..337S"]
    assert references(index, "1404.0004") == cited
    assert references(index, "1505.00005") == ["1404.0004"]


def test_semantic_scholars_datasets_are_read_by_their_keys(
    run: Run, index: Path, written: Written
) -> None:
    citations = written(
        {"citationid": 1, "citingcorpusid": 11, "citedcorpusid": 12, "isinfluential": False},
        {"citationid": 2, "citingcorpusid": 11, "citedcorpusid": 13, "isinfluential": True},
        {"citationid": 3, "citingcorpusid": 12, "citedcorpusid": None, "isinfluential": True},
        name="citations.gz",
    )
    papers = written(
        {"corpusid": 11, "externalids": {"ArXiv": "1404.0004", "DOI": "10.1000/MADE.3"}},
        {"corpusid": 12, "externalids": {"ArXiv": None, "DOI": "10.1000/Made.0"}},
        name="papers.jsonl",
    )
    run("citations", "import", citations, papers)
    assert references(index, "1404.0004") == ["1101.0001", "s2:13"]


def test_papers_of_semantic_scholars_api_are_read(run: Run, index: Path, written: Written) -> None:
    cited = {"paperId": "a" * 40, "externalIds": {"ArXiv": "1101.0001", "CorpusId": 5}}
    bare = {"paperId": "b" * 40, "externalIds": None}
    of_search = {"paperId": "c" * 40, "externalIds": {"DOI": "10.1000/made.3"}}
    run("citations", "import", written({**of_search, "references": [cited, bare]}))
    assert references(index, "1404.0004") == ["1101.0001", f"s2:{'b' * 40}"]
    nested = {"citedPaper": {"paperId": "d" * 40, "externalIds": {"ArXiv": "1202.0002"}}}
    run("citations", "import", written({**of_search, "references": [nested]}))
    assert "1202.0002" in references(index, "1404.0004")


def test_openalexs_works_are_read(run: Run, index: Path, written: Written) -> None:
    path = written(
        {
            "id": "https://openalex.org/W4",
            "doi": "https://doi.org/10.1000/made.3",
            "ids": {"openalex": "https://openalex.org/W4"},
            "referenced_works": ["https://openalex.org/W1", "https://openalex.org/W99"],
        },
        {
            "id": "https://openalex.org/W1",
            "doi": None,
            "ids": {"openalex": "https://openalex.org/W1"},
            "locations": [{"landing_page_url": "http://arxiv.org/abs/1101.0001"}],
            "referenced_works": [],
        },
    )
    run("citations", "import", path)
    assert references(index, "1404.0004") == ["1101.0001", "openalex:W99"]


def test_adss_records_are_read(run: Run, index: Path, written: Written) -> None:
    path = written(
        {
            "bibcode": "2014MNRAS.440..100W",
            "identifier": ["2014MNRAS.440..100W", "arXiv:1404.0004", "2014arXiv1404.0004W"],
            "doi": ["10.1093/mnras/1"],
            "reference": ["2011arXiv1101.0001B", "1973A&A....24..337S"],
        }
    )
    run("citations", "import", path)
    assert references(index, "1404.0004") == ["1101.0001", "1973A&A....24..337S"]


# --- a part of the index ---


def test_an_update_a_merge_and_a_build_keep_the_citations(
    run: Run, index: Path, written: Written, tmp_path: Path
) -> None:
    run("citations", "import", written(*OWN))
    corpus = tmp_path / "more.jsonl"
    new = {"2301.00001": ("Discs at last", DISKS, "Kim Ode", "2023")}
    corpus.write_text("\n".join(lines_of(new)).replace("Made.0", "Made.9") + "\n")

    def assert_kept() -> None:
        assert references(index, "1606.00006") == ["1202.0002", "1404.0004"]
        run("indexes", "verify", "papers")
        assert_holds_one_snapshot(index)

    run("update", "papers", "--corpus", corpus)
    assert_kept()
    shown = run("show", "2301.00001", "--references", "--format", "json").stdout
    assert [work["id"] for work in json.loads(shown)] == ["1101.0001", "1606.00006"]
    run("indexes", "merge", "papers")
    assert_kept()
    run("indexes", "tune", "papers", "--recall", ".9")
    assert_kept()
    run("index", "papers", "--corpus", corpus)
    assert_kept()


def test_a_reference_to_a_paper_that_comes_later_counts_also_by_its_doi(
    run: Run, index: Path, written: Written, tmp_path: Path
) -> None:
    path = written({"id": "1505.00005", "references": ["10.1000/made.9", "1101.0001"]})
    run("citations", "import", path)
    assert references(index, "1505.00005") == ["10.1000/made.9", "1101.0001"]
    corpus = tmp_path / "more.jsonl"
    new = {"1401.0009": ("Discs at last", DISKS, "Kim Ode", "2014")}
    corpus.write_text("\n".join(lines_of(new)).replace("Made.0", "Made.9") + "\n")
    run("update", "papers", "--corpus", corpus)
    answer = json.loads(run("query", "discs at last", "--format", "json").stdout)
    [hit] = [hit for hit in answer["hits"] if hit["id"] == "1401.0009"]
    assert hit["citations"] == 1
    shown = run("show", "1505.00005", "--references", "--format", "json").stdout
    assert {work.get("id") for work in json.loads(shown)} == {"1101.0001", "1401.0009"}
    shown = run("show", "1401.0009", "--citations", "--format", "json").stdout
    assert [work["id"] for work in json.loads(shown)] == ["1505.00005"]


def test_a_damaged_graph_is_named_and_mended_by_an_import(
    run: Run, index: Path, written: Written
) -> None:
    run("citations", "import", written(*OWN))
    folder = index / Manifest.read(index).citations
    content = bytearray((folder / "references.npy").read_bytes())
    content[-1] ^= 1
    (folder / "references.npy").write_bytes(content)
    said = run("indexes", "verify", "papers", code=1).stderr
    assert f"{folder.name}/references.npy" in said
    (folder / "reference_offsets.npy").write_bytes((folder / "works.npy").read_bytes())
    with pytest.raises(IndexDamaged):
        Graph(folder)


def test_an_index_without_citations_is_written_as_before(run: Run, index: Path) -> None:
    assert "citations" not in json.loads((index / "manifest.json").read_bytes())
    assert Manifest.read(index).citations == ""
    hits = json.loads(run("query", "dusty discs", "--format", "json").stdout)["hits"]
    assert all("citations" not in hit for hit in hits)
    for arguments in (
        ["citations", "info"],
        ["citations", "remove", "papers"],
        ["show", "1505.00005", "--references"],
        ["similar", "1505.00005", "--by", "citations"],
    ):
        assert "astrosearch citations import FILE" in run(*arguments, code=4).stderr
    said = run("query", "dusty discs", "--sort", "citations", code=3).stderr
    assert "no citations to sort by" in said


def test_info_tells_and_remove_takes_away(run: Run, index: Path, written: Written) -> None:
    run("citations", "import", written(*OWN))
    info = json.loads(run("citations", "info", "--format", "json").stdout)
    assert (info["works"], info["papers"], info["references"]) == (7, 4, 9)
    assert (info["indexed"], info["citing"], info["cited"]) == (8, 3, 4)
    assert info["sources"][0]["name"] == "citations.jsonl"
    assert "9, of 4 works" in run("citations", "info").stdout
    run("citations", "remove", "papers")
    run("citations", "info", code=4)
    run("indexes", "verify", "papers")
    assert_holds_one_snapshot(index)


# --- answers ---


def test_show_lists_what_a_paper_cites_and_what_cites_it(
    run: Run, index: Path, written: Written
) -> None:
    run("citations", "import", written(*OWN))
    rows = [
        line.split("\t") for line in run("show", "1404.0004", "--references").stdout.splitlines()
    ]
    assert [row[:3] for row in rows] == [
        ["3", "2011", "1101.0001"],
        ["3", "2012", "1202.0002"],
        ["1", "", "10.1086/300499"],
    ]
    assert rows[0][3] == "Berg et al.: Rings of dust around young stars"
    cited_by = run("show", "1101.0001", "--citations", "--format", "jsonl").stdout.splitlines()
    keys = [json.loads(line)["key"] for line in cited_by]
    assert keys == ["1404.0004", "1505.00005", "2301.00001"]
    result = run("show", "1404.0004", "--references", "--format", "bibtex")
    assert result.stdout.count("@") == 2
    assert "1 of 3 are not in index papers" in result.stderr
    run("show", "1404.0004", "1101.0001", "--references", code=2)
    said = run("show", "1707.00007", "--citations", code=4).stderr
    assert "does not know what cites it" in said


def test_counts_are_in_every_answer_and_sort_it(run: Run, index: Path, written: Written) -> None:
    run("citations", "import", written(*OWN))
    counts = {"1101.0001": 3, "1202.0002": 3, "1404.0004": 1, "1606.00006": 1}
    for arguments in (
        ["query", "dusty discs"],
        ["query", "year:2010-"],
        ["query", "1505.00005"],
        ["similar", "1505.00005"],
        ["cite", "1808.00008"],
    ):
        hits = json.loads(run(*arguments, "--format", "json").stdout)["hits"]
        assert {hit["id"]: hit["citations"] for hit in hits} == {
            hit["id"]: counts.get(hit["id"], 0) for hit in hits
        }
        ordered = run(*arguments, "--format", "json", "--sort", "citations").stdout
        numbers = [hit["citations"] for hit in json.loads(ordered)["hits"]]
        assert numbers == sorted(numbers, reverse=True)
        dated = json.loads(run(*arguments, "--format", "json", "--sort", "date").stdout)["hits"]
        days = [hit["published"] for hit in dated]
        assert days == sorted(days, reverse=True)
        assert "citations" in run(*arguments, "--format", "csv").stdout.splitlines()[0]


def test_similar_by_citations_is_coupling_and_cocitation(
    run: Run, index: Path, written: Written
) -> None:
    run("citations", "import", written(*OWN))
    answer = run("similar", "1505.00005", "--by", "citations", "--format", "json").stdout
    hits = {hit["id"]: hit for hit in json.loads(answer)["hits"]}
    # 1505.00005 cites two works, 1404.0004 three, two of them the same; no work cites both.
    assert hits["1404.0004"]["shared_references"] == 2
    assert hits["1404.0004"]["cocitations"] == 0
    assert hits["1404.0004"]["score"] == pytest.approx(2 / np.sqrt(2 * 3) / 2, abs=1e-4)
    assert hits["1606.00006"]["score"] == pytest.approx(1 / np.sqrt(2 * 2) / 2, abs=1e-4)
    assert set(hits) == {"1404.0004", "1606.00006"}
    answer = run("similar", "1101.0001", "--by", "citations", "--format", "json").stdout
    [first, *_] = json.loads(answer)["hits"]
    assert (first["id"], first["cocitations"]) == ("1202.0002", 2)
    assert first["score"] == pytest.approx(2 / np.sqrt(3 * 3) / 2, abs=1e-4)
    since = run("similar", "1505.00005", "--by", "citations", "--since", 2016, "--format", "ids")
    assert since.stdout.split() == ["1606.00006"]
    run("similar", "1505.00005", "--by", "citations", "--mode", "dense", code=2)
    assert (
        "no paper that shares" in run("similar", "1707.00007", "--by", "citations", code=4).stderr
    )


def test_what_near_papers_cite_is_proposed_before_what_they_do_not(
    run: Run, index: Path, written: Written, tmp_path: Path
) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text(f"Discs\n\nWe study {DISKS} once more.\n")

    def proposed() -> list[str]:
        return run("cite", draft, "--format", "ids").stdout.split()

    discs = [paper_id for paper_id, paper in PAPERS.items() if paper[1] == DISKS]
    before = proposed()
    [*others, last] = sorted(discs, key=before.index)
    path = written(*({"id": each, "references": [last]} for each in others))
    run("citations", "import", path)
    assert proposed().index(last) < before.index(last)
    run("citations", "remove", "papers")
    assert proposed() == before


def test_what_a_paper_of_the_index_cites_already_is_left_out_or_marked(
    run: Run, index: Path, written: Written
) -> None:
    run("citations", "import", written(*OWN))
    result = run("cite", "1404.0004", "--format", "ids")
    assert result.stdout.split() == ["1303.0003"]
    assert "3 references: 2 are in index papers and are left out" in result.stderr
    marked = json.loads(run("cite", "1404.0004", "--mark-cited", "--format", "json").stdout)
    cited = {hit["id"] for hit in marked["hits"] if hit["is_cited"]}
    assert cited == {"1101.0001", "1202.0002"}
    said = run("cite", "1707.00007", "--mark-cited", code=2).stderr
    assert "no references of 1707.00007 are known" in said


# --- fetch ---


@dataclass
class LoopbackService:
    """OpenAlex and ADS as their documentation has them, on loopback."""

    address: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers of the next answers."""
    bodies: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


WORKS: dict[str, dict[str, Any]] = {
    "W4": {"doi": "https://doi.org/10.1000/made.3", "referenced_works": ["W1", "W2", "W99"]},
    "W5": {"doi": "https://doi.org/10.48550/arxiv.1505.00005", "referenced_works": ["W1"]},
    "W1": {"doi": None, "locations": [{"landing_page_url": "http://arxiv.org/abs/1101.0001"}]},
    "W2": {"doi": "https://doi.org/10.1000/made.1"},
}
ADS_DOCS = [
    {
        "bibcode": "2014MNRAS.440..100W",
        "identifier": ["arXiv:1404.0004", "2014arXiv1404.0004W", "2014MNRAS.440..100W"],
        "doi": ["10.1000/made.3"],
        "reference": ["2011arXiv1101.0001B", "2012MNRAS.420..100B", "1973A&A....24..337S"],
    },
    {
        "bibcode": "2012MNRAS.420..100B",
        "identifier": ["arXiv:1202.0002", "2012MNRAS.420..100B"],
        "doi": ["10.1000/made.1"],
    },
]


@contextmanager
def serving() -> Iterator[LoopbackService]:
    service = LoopbackService()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            service.asked.append(query)
            service.headers.append(dict(self.headers))
            if service.failures:
                status, headers = service.failures.pop(0)
                self._answer(status, {"error": "made up"}, headers)
            elif url.path == "/works":
                name, _, values = query["filter"][0].partition(":")
                self._answer(200, {"results": _works(name, values.split("|"))}, {})
            else:
                wanted = query["q"][0]
                docs = [
                    doc
                    for doc in ADS_DOCS
                    if any(f'"{name}"' in wanted for name in doc["identifier"])
                ]
                self._answer(200, {"response": {"docs": docs}}, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            service.bodies.append(body)
            head, *bibcodes = body.split("\n")
            assert (head, self.headers["Content-Type"]) == ("bibcode", "big-query/csv")
            docs = [doc for doc in ADS_DOCS if doc["bibcode"] in bibcodes]
            self._answer(200, {"response": {"docs": docs}}, {})

        def _answer(self, status: int, record: object, headers: dict[str, str]) -> None:
            content = json.dumps(record).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with loopback(Handler) as service.address:
        yield service


def _works(name: str, values: list[str]) -> list[dict[str, Any]]:
    assert len(values) <= 100
    found = []
    for number, work in WORKS.items():
        doi = str(work["doi"] or "").removeprefix("https://doi.org/")
        if (number if name == "openalex" else doi) in values:
            address = "https://openalex.org/"
            cited = [address + each for each in work.get("referenced_works", ())]
            record = {"id": address + number, "ids": {}, "locations": [], **work}
            found.append({**record, "referenced_works": cited})
    return found


@pytest.fixture
def openalex(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackService]:
    with serving() as service:
        monkeypatch.setenv("OPENALEX_API_URL", service.address)
        monkeypatch.delenv("OPENALEX_API_KEY", raising=False)
        yield service


@pytest.fixture
def ads(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackService]:
    with serving() as service:
        monkeypatch.setenv("ADS_API_URL", service.address)
        monkeypatch.setenv("ADS_API_TOKEN", "a-token")
        yield service


def test_openalex_is_asked_for_papers_and_for_what_they_cite_once(
    run: Run, index: Path, openalex: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENALEX_API_KEY", "a-key")
    said = run("citations", "fetch", "--for", "index").stderr
    assert "OpenAlex knows 3 of 8 papers" in said
    assert references(index, "1404.0004") == ["1101.0001", "1202.0002", "openalex:W99"]
    assert references(index, "1505.00005") == ["1101.0001"]
    papers, works = openalex.asked
    assert papers["api_key"] == ["a-key"]
    assert "10.48550/arxiv.1404.0004" in papers["filter"][0].split("|")
    assert works["filter"] == ["openalex:W1|W2|W99"]
    run("citations", "fetch", "--for", "index")
    run("citations", "fetch", "1404.0004")
    assert len(openalex.asked) == 2  # it is known, also that W99 is not
    run("citations", "fetch", "--for", "1404.0004", "--again")
    assert len(openalex.asked) == 3


def test_ads_is_asked_with_the_token_in_searches_and_a_big_query(
    run: Run, index: Path, ads: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("citations", "fetch", "1404.0004", "1505.00005", "--from", "ads").stderr
    assert "ADS knows 1 of 2 papers" in said
    assert references(index, "1404.0004") == ["1101.0001", "1202.0002", "1973A&A....24..337S"]
    assert ads.asked[0]["q"] == ['identifier:("arXiv:1404.0004" OR "arXiv:1505.00005")']
    assert ads.headers[0]["Authorization"] == "Bearer a-token"
    assert ads.bodies == ["bibcode\n2012MNRAS.420..100B\n1973A&A....24..337S"]
    for name in ("ADS_API_TOKEN", "ADS_DEV_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert (
        "set ADS_API_TOKEN"
        in run("citations", "fetch", "1404.0004", "--from", "ads", code=3).stderr
    )


def test_the_library_is_asked_for_by_identifier_and_doi(
    run: Run, index: Path, openalex: LoopbackService, tmp_path: Path
) -> None:
    assert "no paper of the library" in run("citations", "fetch", "--for", "library", code=4).stderr
    bib = tmp_path / "own.bib"
    bib.write_text(
        "@article{a, title={Traps}, author={B. Wu}, year=2014, doi={10.1000/MADE.3}}\n"
        "@article{b, title={Spirals}, author={T. Wu}, year=2015, eprint={1505.00005}}\n"
    )
    run("library", "add", bib)
    run("citations", "fetch", "--for", "library")
    assert "10.1000/made.3" in openalex.asked[0]["filter"][0]
    assert references(index, "1404.0004") == ["1101.0001", "1202.0002", "openalex:W99"]


def test_a_fetch_that_fails_keeps_what_has_come_and_goes_on(
    tmp_path: Path, openalex: LoopbackService
) -> None:
    waited: list[float] = []
    path = tmp_path / "answers/openalex.jsonl"
    asked = [Asked("1404.0004", "10.1000/made.3"), Asked("1505.00005")]
    with PoliteClient(pause=0.2, sleep=waited.append) as client:
        openalex.failures += [(503, {}), (429, {"Retry-After": "7"})]
        answers = Answers(path)
        answers.keep(next(OpenAlex(client).papers(asked)))
        assert waited == [2.0, 0.2, 7.0, 0.2]
        openalex.failures += [(429, {"Retry-After": "40000"})]
        with pytest.raises(AstrosearchError, match="pause of 667 minutes; what has come is kept"):
            fetch(OpenAlex(client), asked, answers)
        path.write_bytes(path.read_bytes() + b'{"name": "half of a li')  # a kill
        answers, before = Answers(path), len(openalex.asked)
        fetch(OpenAlex(client), asked, answers)
        assert len(openalex.asked) == before + 1  # papers were known, their references were not
        assert Answers(path).get("https://openalex.org/W99") == Known(())
        openalex.failures += [(500, {})] * 6
        with pytest.raises(AstrosearchError, match="6 times in a row"):
            fetch(OpenAlex(client), [Asked("1606.00006")], answers)
        [line] = lines([asked[1]], answers)
    assert [work.names[0] for work in line.works] == ["https://openalex.org/W1", "1505.00005"]


def test_a_refused_key_and_a_wrong_command_are_one_line(
    run: Run, index: Path, openalex: LoopbackService
) -> None:
    before = (index / "manifest.json").read_bytes()
    openalex.failures += [(401, {})]
    said = run("citations", "fetch", "1404.0004", code=3).stderr
    assert "answered 401" in said
    assert "set OPENALEX_API_KEY" in said
    openalex.failures += [(400, {})]
    run("citations", "fetch", "1404.0004", code=1)
    run("citations", "fetch", code=2)
    run("citations", "fetch", "1404.0004", "--for", "index", code=2)
    run("citations", "fetch", "something", code=2)
    assert "knows 0 of 1" in run("citations", "fetch", "1707.00007", code=4).stderr
    assert (index / "manifest.json").read_bytes() == before


def test_programs_and_assistants_are_told_what_a_paper_cites(
    run: Run, index: Path, written: Written
) -> None:
    from mcp import Client

    async def used(address: str) -> Any:
        async with Client(f"{address}/mcp") as client:
            asked = {"id": "1101.0001", "links": "citations", "k": 2}
            return (await client.call_tool("citations", asked)).structured_content

    run("citations", "import", written(*OWN))
    with at_port(index.parents[1], "--workers", "1") as server:
        cited = server.get("/api/citations", id="1404.0004").json
        first = server.get("/api/citations", id="arXiv:1101.0001v2", links="citations", k=2)
        rest = server.get("/api/citations", id="1101.0001", links="citations", k=2, offset=2).json
        hits = server.get("/api/query", q="dusty discs").json["hits"]
        unknown = server.get("/api/citations", id="2909.00001")
        misspelt = server.get("/api/citations", id="1101.0001", links="cites")
        tool = asyncio.run(used(server.address))
    keys = [work["key"] for work in cited["works"]]
    assert keys == ["1101.0001", "1202.0002", "10.1086/300499"]
    assert cited["works"][0]["title"] == PAPERS["1101.0001"][0]
    assert cited["works"][2] == {"key": "10.1086/300499", "citations": 1}
    assert (first.json["total"], first.json["next_offset"], rest["next_offset"]) == (3, 2, None)
    works = [work["key"] for work in (*first.json["works"], *rest["works"])]
    assert works == [work["key"] for work in _cited_by(run, "1101.0001")]
    assert {hit["id"]: hit["citations"] for hit in hits}["1101.0001"] == 3
    assert (unknown.status, misspelt.status) == (404, 400)
    assert tool["total"] == 3
    assert [work["id"] for work in tool["works"]] == works[:2]
    assert tool["works"][0]["citations"] == first.json["works"][0]["citations"]
    run("citations", "remove", "papers")
    with at_port(index.parents[1], "--workers", "1") as server:
        refused = server.get("/api/citations", id="1101.0001")
    assert refused.status == 404
    assert "has no citations" in refused.json["detail"]


def _cited_by(run: Run, paper_id: str) -> list[dict[str, Any]]:
    shown = run("show", paper_id, "--citations", "--format", "json").stdout
    works: list[dict[str, Any]] = json.loads(shown)
    return works
