from datetime import date
from pathlib import Path

import pytest

from astrosearch.library import ris
from astrosearch.papers import Paper
from astrosearch.text import csl
from tests.conftest import Run


def _fields(entry: str) -> list[tuple[str, str]]:
    """As Zotero's and EndNote's filters read a line: two letters, two spaces, a hyphen, a space."""
    lines = entry.split("\r\n")
    assert all(line[2:6] == "  - " for line in lines)
    return [(line[:2], line[6:]) for line in lines]


PAPER = Paper(
    id="1901.00001",
    title=r"Dust at $z \sim 7$",
    abstract="Two\nlines.",
    authors=("Ada van der Berg Jr.", "Lighthouse Collaboration", "et al."),
    categories=("astro-ph.GA", "gr-qc"),
    published=date(2019, 1, 2),
    doi="10.1000/x",
    journal_ref="ApJ 876 (2019) 85",
)


def test_a_published_paper_is_an_article_with_all_that_is_known() -> None:
    [entry] = ris.entries(csl.items([PAPER], ["key"]))
    fields = _fields(entry)
    assert fields[0] == ("TY", "JOUR")
    assert fields[-1] == ("ER", "")
    assert [value for tag, value in fields if tag == "AU"] == [
        "van der Berg, Ada, Jr.",
        "Lighthouse Collaboration",
    ]
    assert {
        ("TI", "Dust at z ∼ 7"),
        ("PY", "2019"),
        ("JO", "ApJ"),
        ("VL", "876"),
        ("SP", "85"),
        ("DO", "10.1000/x"),
        ("AB", "Two lines."),
        ("KW", "gr-qc"),
        ("AN", "arXiv:1901.00001"),
        ("UR", "https://arxiv.org/abs/1901.00001"),
    } <= set(fields)


def test_a_preprint_is_unpublished_and_has_its_own_year() -> None:
    from dataclasses import replace

    [entry] = ris.entries(csl.items([replace(PAPER, journal_ref=None, doi=None)], ["key"]))
    fields = dict(_fields(entry))
    assert (fields["TY"], fields["PY"]) == ("UNPB", "2019")
    assert not {"JO", "VL", "DO"} & set(fields)


def test_answers_and_papers_are_written_as_ris(
    sampler_home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    ids = run("query", "magellanic stream", "-k", 3, "--format", "ids").stdout.split()
    commands = (
        ("query", "magellanic stream", "-k", 3),
        ("show", *ids),
        ("cite", "2503.14368", "-k", 3),
    )
    for command in commands:
        records, problems = ris.read(run(*command, "--format", "ris").stdout)
        assert not problems
        assert len(records) == 3
    text = run("similar", "2503.14368", "-k", 2, "--format", "ris").stdout
    assert text.count("ER  - ") == 2
    notice = run("query", "stream", "--format", "ris", "--explain").stderr
    assert "--explain has no effect with --format ris" in notice
    refused = run("cite", "2503.14368", "--mark-cited", "--format", "ris", code=2)
    assert "--mark-cited cannot be seen" in refused.stderr


def test_keywords_on_lines_of_their_own_are_several() -> None:
    records, problems = ris.read(
        "TY  - JOUR\nTI  - Dust\n  and gas\nKW  - Magellanic Clouds\nLocal Group\nER  - \n"
    )
    assert not problems
    assert "title = {Dust and gas}" in records[0].raw
    assert "keywords = {Magellanic Clouds, Local Group}" in records[0].raw
