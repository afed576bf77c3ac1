"""Queries by vectors, by words and by both, through the command line and a Searcher."""

import json
import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from astrosearch.atomic import file_sha256
from astrosearch.corpus.filters import Filters
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.encoders.weights.locate import resolve
from astrosearch.errors import IndexDamaged
from astrosearch.index.build import build
from astrosearch.index.lexical_index import LexicalIndexWriter
from astrosearch.index.manifest import describe_files
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.searcher import Mode, Searcher
from tests.conftest import Run, kaggle_line, words_folder
from tests.reporters import Watch

MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")


@pytest.fixture
def pairs(run: Run, tmp_path: Path, tiny_llama: Path) -> Path:
    """An index of 60 papers; number 30 names NGC 1068, which the tiny LLaMA cannot read."""
    source = tmp_path / "pairs.json"
    lines = [kaggle_line(number) for number in range(60)]
    lines[30] = kaggle_line(30, title="A torus", abstract="The dusty torus of NGC1068 is warm.")
    source.write_text("\n".join(lines))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    from astrosearch import paths

    return paths.index_folder("main")


def query_hits(run: Run, *arguments: object) -> list[dict[str, object]]:
    answer = json.loads(run("query", *arguments, "--format", "json").stdout)
    hits: list[dict[str, object]] = answer["hits"]
    return hits


@pytest.mark.usefixtures("pairs")
def test_the_hits_of_each_mode_have_the_scores_and_ranks_of_its_searches(run: Run) -> None:
    relevant = json.loads(kaggle_line(30))["id"]
    (best, *_) = query_hits(run, "torus of NGC 1068", "--mode", "lexical")
    assert best["id"] == relevant
    assert (best["rank"], best["lexical_rank"]) == (1, 1)
    assert (best["cosine"], best["dense_rank"]) == (None, None)
    assert isinstance(best["score"], float)
    assert best["score"] > 1

    dense = query_hits(run, "torus of NGC 1068", "--mode", "dense", "-k", 60)
    assert len(dense) == 60
    assert all(hit["score"] == hit["cosine"] for hit in dense)
    assert [hit["dense_rank"] for hit in dense] == list(range(1, 61))
    assert {hit["lexical_rank"] for hit in dense} == {None}

    hybrid = query_hits(run, "torus of NGC 1068", "-k", 60)
    hybrid_hits = {hit["id"]: hit for hit in hybrid}
    lexical = query_hits(run, "torus of NGC 1068", "--mode", "lexical", "-k", 60)
    for hits, name in ((dense, "dense_rank"), (lexical, "lexical_rank")):
        for hit in hits:
            assert hybrid_hits[hit["id"]][name] == hit["rank"]
    scores = [float(str(hit["score"])) for hit in hybrid]
    assert scores == sorted(scores, reverse=True)
    # BM25 finds only this paper, which gives it half of the score; the cosine adds its share.
    assert 0.5 < scores[0] <= 1
    assert hybrid[0]["id"] == relevant
    cosines = {hit["id"]: hit["cosine"] for hit in dense}
    assert {hit["id"]: hit["cosine"] for hit in hybrid} == cosines


def test_a_hit_that_only_words_found_has_its_cosine_too(built: Path, run: Run) -> None:
    searcher = Searcher(Index(built))
    words_alone = 0
    for number in range(50, 80):
        dense = searcher.query(str(number), k=150, mode="dense")
        hybrid = searcher.query(str(number), k=10)
        cosines = {hit.paper.id: hit.cosine for hit in dense}
        for hit in hybrid:
            words_alone += hit.dense_rank is None
            assert hit.cosine == pytest.approx(cosines[hit.paper.id], abs=2e-3)
    assert words_alone


@pytest.mark.parametrize("mode", MODES)
def test_filters_hold_in_every_mode(run: Run, built: Path, mode: Mode) -> None:
    def ids(*arguments: object) -> set[str]:
        return {str(hit["id"]) for hit in query_hits(run, *arguments, "--mode", mode, "-k", 150)}

    # "number" stands in every title, so that words find every paper too.
    assert len(ids("number gas")) == 150
    assert ids("number gas", "--author", "B7son") == {"1708.00007"}
    assert ids("number gas author:B7son") == {"1708.00007"}
    assert ids("number gas author:B7son author:Wu") == {"1708.00007"}
    with_option = ids("number gas", "--category", "astro-ph.GA")
    assert with_option == ids("number gas cat:astro-ph.GA")
    assert len(with_option) == 50
    assert ids("number gas cat:astro-ph.GA", "--author", "B9son") == ids("number author:B9son")
    assert ids("number gas year:2016") == ids("number gas")
    assert "passes the filters" in run("query", "gas year:2017-", "--mode", mode, code=4).stderr
    assert ids('"we find 77"') == ids("gas title:77")
    assert len(ids("gas title:77")) == 1
    error = run("query", 'gas "no such phrase"', "--mode", mode, code=4).stderr
    assert 'has "no such phrase"' in error
    error = run("query", 'title:77 "we find 78"', "--mode", mode, code=4).stderr
    assert 'has title:"77" and "we find 78" together' in error


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "text", ["z: 7", "the of and", "[ \\ ( AND OR NOT", "Hubble's constant: a", "foo:bar"]
)
def test_odd_queries_break_nothing(run: Run, built: Path, mode: Mode, text: str) -> None:
    lines = run("query", "--batch", "-", "--mode", mode, stdin=text + "\n").stdout.splitlines()
    assert [json.loads(line)["query"] for line in lines] == [text]
    if mode != "lexical":
        assert len(json.loads(lines[0])["hits"]) == 10


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("odd", ['"', "🙂", "!!! ???"])
def test_a_query_without_a_word_has_no_answer(run: Run, odd: str) -> None:
    for mode in MODES:
        result = run("query", odd, "--mode", mode, code=4)
        assert "has a word of" in result.stderr
        assert result.stdout == ""


@pytest.mark.usefixtures("built")
def test_it_is_said_that_no_paper_has_a_word_of_the_query(run: Run) -> None:
    assert "No paper has a word of 'xyzzy'" in run("query", "xyzzy").stderr
    assert "No paper" not in run("query", "xyzzy gas").stderr


@pytest.fixture
def named(run: Run, tmp_path: Path, tiny_llama: Path) -> list[str]:
    """An index in which paper 30 is by Quimby and Mendez, 31 by van Zyl, 32 by Quimby; its ids."""
    authors = {30: "Carla Mendez, Zoe Quimby", 31: "Ann van Zyl", 32: "Zoe Quimby"}
    days = [f"Fri, 06 May {year} 00:00:00 GMT" for year in range(1990, 2040)]
    lines = [
        kaggle_line(
            number,
            **({"authors": authors[number]} if number in authors else {}),
            doi=f"10.1000/Paper.{number}",
            versions=[{"version": "v1", "created": days[number % 50]}],
        )
        for number in range(60)
    ]
    source = tmp_path / "named.json"
    source.write_text("\n".join(lines))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    return [str(json.loads(line)["id"]) for line in lines]


def ids(run: Run, *arguments: object) -> list[str]:
    return list(run("query", *arguments, "--format", "ids").stdout.split())


def test_papers_of_an_author_that_a_query_names_come_first(run: Run, named: list[str]) -> None:
    first, second = named[32], named[30]
    for query in ("Quimby", "quimby", "Zoe Quimby", "Quimby, Z.", "Quimby 2020", "Quimby et al."):
        assert ids(run, query)[:2] == [first, second], query
    for query in ("papers by Quimby on gas", "gas by Zoe Quimby", "gas Quimby"):
        assert set(ids(run, query)[:2]) == {first, second}, query
    assert ids(run, "Quimby & Mendez")[0] == second
    assert ids(run, "papers by van Zyl")[0] == named[31]
    assert query_hits(run, "Quimby")[0]["author_match"] == 1
    assert query_hits(run, "gas in a stream")[0]["author_match"] is None
    assert query_hits(run, "Zoe")[0]["author_match"] is None


def test_a_query_that_names_nobody_is_answered_as_without_names(run: Run, named: list[str]) -> None:
    long = "gas in a stream of dust around the cold halo of a galaxy Quimby"
    assert query_hits(run, long)[0]["author_match"] is None
    assert ids(run, "author:Quimby", "-k", 9) == [named[32], named[30]]


def test_an_identifier_finds_its_paper_and_those_like_it(run: Run, named: list[str]) -> None:
    paper = named[30]
    near = list(run("similar", paper, "-k", 9, "--format", "ids").stdout.split())
    for query in (paper, f"https://arxiv.org/abs/{paper}v3", "doi:10.1000/paper.30"):
        assert ids(run, query) == [paper, *near]
        assert ids(run, query, "-k", 1) == [paper]
    said = {
        "2306.99999": "2306.99999 is an arXiv identifier, but",
        "10.1000/none": "10.1000/none is a DOI, but no paper of index main",
        "2015ApJ...798..100X": "is a bibcode, but no paper of index main",
    }
    for query, words in said.items():
        assert words in run("query", query, code=4).stderr
    lines = run("query", "--batch", "-", stdin=f"2306.99999\n{paper}\n").stdout.splitlines()
    assert "is an arXiv identifier" in json.loads(lines[0])["error"]
    assert json.loads(lines[1])["hits"][0]["id"] == paper


def test_the_bibcode_of_a_journal_finds_the_paper_that_was_published_there(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    published = {
        10: {"journal-ref": "Phys.Rev.D97:043007,2018"},
        11: {"journal-ref": "ApJ 798, 10 (2015)"},
        12: {"journal-ref": "ApJ 798, 100 (2015)", "authors": "Ana Sol"},
        13: {"journal-ref": "ApJ 798, 100 (2015)", "authors": "Bo Wu"},
        14: {"doi": "10.1088/2041-8205/741/1/L12"},
        15: {"journal-ref": "A&A 616, A1 (2018)", "authors": "The Lamp Collaboration"},
    }
    lines = [kaggle_line(number, **published.get(number, {})) for number in range(30)]
    (tmp_path / "published.json").write_text("\n".join(lines))
    run("index", "--corpus", tmp_path / "published.json", "--encoder", tiny_llama)
    papers = [json.loads(line)["id"] for line in lines]
    for bibcode, number in {
        "2018PhRvD..97d3007B": 10,
        "2015ApJ...798..100W": 13,
        "2015ApJ...798..100S": 12,
        "https://ui.adsabs.harvard.edu/abs/2015ApJ...798..100S/abstract": 12,
        "https://ui.adsabs.harvard.edu/abs/2018A%26A...616A...1X": 15,
        "2011ApJ...741L..12B": 14,
    }.items():
        assert ids(run, bibcode, "-k", 2)[0] == papers[number], bibcode
    for bibcode in ("2015ApJ...798..100X", "2015ApJ...798....1B", "2018PhRvD..97d3008B"):
        assert "is a bibcode, but no paper" in run("query", bibcode, code=4).stderr


PUBLISHED = {
    "2016ApJ...826...56L": {"journal-ref": "Astrophys. J. 826 (2016) 56"},
    "2018PhRvD..98d3007L": {"doi": "10.1103/PhysRevD.98.043007"},
    "1998A&A...330..109L": {"journal-ref": "A&A 330, 109-120 (1998)"},
    "2015JCAP...07..023L": {"journal-ref": "JCAP 1507:023,2015"},
    "2014MNRAS.437L..11L": {"journal-ref": "MNRAS Letters, 437, L11 (2014)"},
}
"""Bibcodes, and what the record of the paper tells."""


@pytest.fixture
def published(run: Run, tmp_path: Path, tiny_llama: Path) -> dict[str, str]:
    """An index of papers by Ann Lee in journals, and others; the ids by bibcode."""
    lines = [
        kaggle_line(number, authors="Ann Lee, D. Wu", **facts)
        for number, facts in enumerate(PUBLISHED.values())
    ]
    lines += [kaggle_line(number, **{"journal-ref": "ApJ 826, 57 (2016)"}) for number in (20, 21)]
    source = tmp_path / "published.json"
    source.write_text("\n".join(lines))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    papers = (str(json.loads(line)["id"]) for line in lines)
    return dict(zip(PUBLISHED, papers, strict=False))


def test_the_bibcode_of_a_journal_finds_its_paper(run: Run, published: dict[str, str]) -> None:
    for bibcode, paper in published.items():
        address = f"https://ui.adsabs.harvard.edu/abs/{bibcode.replace('&', '%26')}/abstract"
        for query in (bibcode, f"bibcode:{bibcode}", address):
            assert ids(run, query)[0] == paper, query
    for near in (
        *("2016ApJ...826...56X", "2016ApJ...826...58L", "2016ApJ...827...56L"),
        *("2017ApJ...826...56L", "2016MNRAS.826...56L", "2018PhRvD..98e3007L"),
    ):
        said = run("query", near, code=4).stderr
        assert f"{near} is a bibcode, but no paper of index main is known to have it" in said


@pytest.mark.usefixtures("frozen")
def test_an_index_without_journal_references_knows_no_bibcode(run: Run) -> None:
    assert "is a bibcode, but" in run("query", "2016ApJ...826...56L", code=4).stderr


def test_an_or_leaves_the_choice_in_every_mode(run: Run, named: list[str]) -> None:
    for mode in MODES:
        either = ids(run, "number author:Quimby OR author:van Zyl", "--mode", mode, "-k", 60)
        assert set(either) == {named[30], named[31], named[32]}
        both = ids(run, "number author:(Quimby AND Mendez)", "--mode", mode, "-k", 60)
        assert both == [named[30]]
        without = ids(run, "number -(author:Quimby OR title:31)", "--mode", mode, "-k", 60)
        assert set(named) - set(without) == {named[30], named[31], named[32]}
        inside = "number (author:Quimby AND NOT author:Mendez) OR title:31"
        assert set(ids(run, inside, "--mode", mode, "-k", 60)) == {named[31], named[32]}
    alone = ids(run, "author:Quimby OR author:van Zyl", "-k", 60)
    assert set(alone) == {named[30], named[31], named[32]}
    error = run("query", "gas author:nobody or author:noone", code=4).stderr
    assert "passes the filters (author nobody or author noone)" in error


@pytest.mark.usefixtures("named")
def test_what_is_not_understood_is_said(run: Run) -> None:
    for mode in MODES:
        result = run("query", "gas property:refereed", "--mode", mode)
        assert "property: has no meaning here" in result.stderr
        assert result.stdout
    assert "nothing is left to search for" in run("query", "property:refereed", code=2).stderr
    record = json.loads(run("query", "--batch", "-", stdin="citations(author:Wu)\n").stdout)
    assert "citations(…) has no meaning here" in record["error"]
    assert "no wildcards" in run("shell", stdin="gas* streams*\n").stderr


def test_filters_alone_list_the_newest_papers(run: Run, named: list[str]) -> None:
    years = [int(str(hit["year"])) for hit in query_hits(run, "cat:gr-qc")]
    assert years == sorted(years, reverse=True)
    assert ids(run, "--category", "gr-qc") == ids(run, "cat:gr-qc")
    assert "a filter" in run("query", code=2).stderr
    assert "not author" in run("query", "author:Quimby -author:Quimby", code=4).stderr


def test_what_is_excluded_is_not_in_the_answer(run: Run, named: list[str]) -> None:
    without = ids(run, "gas -author:Quimby", "-k", 60)
    assert set(named) - set(without) == {named[30], named[32]}
    with_word = set(ids(run, 'gas "number"', "-k", 60))
    assert with_word == set(named)
    assert "none of the 60 papers" in run("query", "gas -number", code=4).stderr


@pytest.mark.usefixtures("named")
def test_an_answer_can_be_sorted_by_date(run: Run) -> None:
    best = query_hits(run, "gas in a stream")
    dated = query_hits(run, "gas in a stream", "--sort", "date")
    years = [int(str(hit["year"])) for hit in dated]
    assert years == sorted(years, reverse=True)
    assert sorted(int(str(hit["rank"])) for hit in dated) == list(range(1, 11))
    assert {hit["id"] for hit in dated} == {hit["id"] for hit in best}


def test_lexical_mode_needs_no_model(
    run: Run, built: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(tiny_llama, moved)
    try:
        assert run("query", "gas", "--mode", "lexical", "--format", "ids").stdout
        piped = run("query", "-", "--mode", "lexical", "--format", "ids", stdin="gas").stdout
        assert piped == run("query", "gas", "--mode", "lexical", "--format", "ids").stdout
        assert "is not a known model" in run("query", "gas", code=2).stderr
    finally:
        shutil.move(moved, tiny_llama)
    hits = Searcher(Index(built)).query(ParsedQuery("gas"), mode="lexical")
    assert len(hits) == 10
    assert "has a word of 'xyzzy'" in run("query", "xyzzy", "--mode", "lexical", code=4).stderr


def file_fact(path: Path) -> dict[str, object]:
    """A file as a manifest describes it."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def test_a_damaged_lexical_index_is_an_error_of_one_line(run: Run, built: Path) -> None:
    words = words_folder(built)
    meta = words / "meta.json"
    meta.write_text("{")
    said = run("query", "gas", code=1).stderr
    assert f"{words.name}/meta.json has 1 bytes, the manifest says" in said
    manifest = json.loads((built / "manifest.json").read_text())
    manifest["files"][f"{words.name}/meta.json"] = file_fact(meta)
    (built / "manifest.json").write_text(json.dumps(manifest))
    assert f"{words.name} cannot be read" in run("query", "gas", code=1).stderr
    assert run("query", "gas", "--mode", "dense").stdout
    next(words.glob("*.idx")).unlink()
    assert ".idx is missing" in run("query", "gas", code=1).stderr


def test_the_lexical_index_of_another_index_is_refused(run: Run, built: Path) -> None:
    folder = words_folder(built)
    shutil.rmtree(folder)
    writer = LexicalIndexWriter(folder)
    writer.add(0, "A title", "gas", ["A. Lee"])
    writer.finish()
    manifest = json.loads((built / "manifest.json").read_text())
    words = sorted(f"{folder.name}/{file.name}" for file in folder.iterdir())
    facts = {name: asdict(fact) for name, fact in describe_files(built, words).items()}
    other_facts = {
        name: fact
        for name, fact in manifest["files"].items()
        if not name.startswith(f"{folder.name}/")
    }
    manifest["files"] = other_facts | facts
    (built / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexDamaged, match="the words of 1 papers, the manifest says 150"):
        _ = Index(built).lexical


def test_a_build_stopped_in_its_lexical_index_goes_on_and_answers_the_same(
    run: Run, snapshot: Path, tiny_llama: Path
) -> None:
    from astrosearch import paths

    spec = resolve(EncoderSpec(str(tiny_llama)), SILENT)[0]
    folder = paths.index_folder("cut")

    def stop_at_the_end(done: int, total: int) -> None:
        if done == total:
            half = LexicalIndexWriter(paths.partial_folder(folder) / "words")
            half.add(0, "half a", "folder", [])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(
            folder,
            [snapshot],
            Selection(),
            spec,
            lambda spec: load_encoder(spec, SILENT, device="cpu"),
            reporter=Watch(stop_at_the_end),
        )
    assert not folder.exists()
    assert (paths.partial_folder(folder) / "words").exists()
    arguments = ("--corpus", snapshot, "--encoder", tiny_llama)
    assert "0 encoded, 150 vectors reused" in run("index", "cut", *arguments).stderr
    run("index", "whole", *arguments)
    answers = [
        run(
            "query", "gas number 7", "-i", name, "--mode", mode, "-k", 50, "--format", "jsonl"
        ).stdout
        for mode in MODES
        for name in ("cut", "whole")
    ]
    assert answers[::2] == answers[1::2]
    assert not Index(folder).manifest.verify(folder)


def test_changed_titles_and_authors_are_found_after_an_update(
    run: Run, snapshot: Path, built: Path
) -> None:
    lines = snapshot.read_text().splitlines()
    lines[8] = kaggle_line(8, title="Magnetars", authors="Z. Quimby")
    snapshot.write_text("\n".join(lines))
    run("index", "main", "--corpus", snapshot)
    for text in ("magnetar", "quimby"):
        (hit,) = query_hits(run, text, "--mode", "lexical")
        assert hit["title"] == "Magnetars"
    index = Index(built)
    since = Filters(since=date(2016, 1, 1))
    hits = Searcher(index).query("magnetar", filters=since, mode="lexical")
    assert len(hits) == 1
