"""New papers: which are new, in which order, why, and in which form."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from astrosearch.library.interests import Interests, Texts, soft_maximum
from tests.conftest import Run
from tests.test_library import SAMPLER, added, sampler, sampler_home

__all__ = ["sampler", "sampler_home"]

EARLY = "2026-07-25"
ATOM = "{http://www.w3.org/2005/Atom}"


def ids(run: Run, *arguments: object) -> list[str]:
    return run("new", *arguments, "--format", "ids").stdout.split()


def newest() -> str:
    return max(str(json.loads(line)["published"]) for line in SAMPLER.read_text().splitlines())


@pytest.fixture
def streams(sampler: Path, run: Run) -> list[str]:
    """A library on stellar streams and the Magellanic system; the identifiers."""
    found = run("query", "magellanic stream", "--until", "2024", "--format", "ids", "-k", 4)
    run("library", "add", "-", stdin=found.stdout)
    return found.stdout.split()


class TestOrder:
    def test_papers_like_the_library_come_first_with_the_reason(
        self, streams: list[str], run: Run
    ) -> None:
        records = json.loads(run("new", "--since", "2025", "--format", "json", "-k", 40).stdout)
        papers = records["papers"]
        assert records["library"] == 4
        assert "Magellanic" in papers[0]["title"]
        assert papers[0]["match"] > papers[20]["match"]
        assert re.fullmatch(r"near \S.* \d{4}.* in your library", papers[0]["reasons"][0])
        assert set(papers[0]["near"]) <= set(streams)
        assert all(paper["reasons"] for paper in papers)
        matches = [paper["match"] for paper in papers]
        assert matches == sorted(matches, reverse=True)

    def test_two_interests_are_both_served(self, streams: list[str], run: Run) -> None:
        other = run("query", "exoplanet atmosphere", "--until", "2024", "--format", "ids", "-k", 4)
        run("library", "add", "-", stdin=other.stdout)
        titles = " ".join(
            paper["title"]
            for paper in map(
                json.loads,
                run("new", "--since", "2025", "--format", "jsonl", "-k", 12).stdout.splitlines(),
            )
        )
        assert "Magellanic" in titles
        assert re.search("Planet|planet|TRAPPIST", titles)

    def test_what_is_disliked_falls_and_what_is_liked_rises(
        self, streams: list[str], run: Run
    ) -> None:
        everything = ids(run, "--since", "2025", "-k", 200)
        liked = everything[30]
        twin = run("similar", liked, "--until", "2024", "--format", "ids", "-k", 3).stdout.split()
        run("library", "add", *twin, "--liked")
        with_liked = ids(run, "--since", "2025", "-k", 200)
        assert with_liked.index(liked) < 30
        run("library", "tag", *twin, "--disliked")
        assert ids(run, "--since", "2025", "-k", 200).index(liked) > with_liked.index(liked)

    def test_papers_that_the_index_lacks_count_by_their_own_text(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "own.bib"
        file.write_text(
            "@book{pulsars, title={Millisecond pulsars and their timing noise}, year={1999}, "
            "author={Zander, Q.}}"
        )
        assert not added(run, file)["pulsars"]["in_index"]
        first, *_ = run("new", "--since", "2000", "-k", 1).stdout.splitlines()
        assert re.search("[Pp]ulsar|Nanohertz", first)
        assert "Zander 1999 in your library" in first

    def test_who_and_what_is_followed_comes_first(
        self, streams: list[str], run: Run, home: Path
    ) -> None:
        author, word = "Trumbo, S", "thermal properties"
        config = home.parent / "config/astrosearch/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[follow]\nauthors = ["{author}"]\nkeywords = ["{word}"]\n')
        lines = run("new", "--since", "2023", "-k", 5).stdout.splitlines()
        assert {line.split("\t")[-1].split("; ")[-1] for line in lines[:2]} == {
            f"follows: {author}",
            f"keyword: {word}",
        }
        config.write_text('[follow]\nauthor = ["x"]\n')
        assert "line 2: follow.author has no meaning here" in run("new").stderr

    def test_papers_of_the_library_are_not_new(self, sampler: Path, run: Run) -> None:
        first = ids(run, "--since", "2025", "-k", 1)
        run("library", "add", *first)
        assert not {*first} & {*ids(run, "--since", "2025", "-k", 300)}


class TestWhatIsNew:
    def test_an_empty_library_says_how_to_fill_it_and_the_newest_come_first(
        self, sampler: Path, run: Run
    ) -> None:
        result = run("new", "--since", "2025", "--format", "jsonl", "-k", 50)
        assert "astrosearch library add" in result.stderr
        days = [json.loads(line)["published"] for line in result.stdout.splitlines()]
        assert days == sorted(days, reverse=True)
        assert days[0] == newest()

    def test_a_paper_is_shown_once_unless_asked(self, sampler: Path, run: Run) -> None:
        seen = ids(run)
        assert seen
        assert ids(run, "--mark-read") == seen
        result = run("new", code=4)
        assert "is new to you" in result.stderr
        assert "astrosearch update sampler" in result.stderr
        assert "these again: --again" in result.stderr
        assert not result.stdout
        assert ids(run, "--again") == seen
        assert not {*ids(run, "--since", "2020", "-k", 300)} & {*seen}

    def test_of_one_category_marked_as_seen_the_others_stay_new(
        self, sampler: Path, run: Run
    ) -> None:
        every = ids(run)
        of_one = ids(run, "--category", "astro-ph.GA", "--mark-read")
        others = [paper_id for paper_id in every if paper_id not in of_one]
        assert of_one
        assert others
        assert sorted(ids(run)) == sorted(others)
        run("new", "--category", "astro-ph.GA", code=4)
        run("new", "--mark-read")
        run("new", code=4)

    def test_what_an_update_brings_is_new_even_with_an_earlier_date(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        run("new", "--mark-read")
        paper = {
            "id": "2607.99999", "title": "Rings of minor planets", "abstract": "We see rings.",
            "authors": ["Ann Doe"], "categories": ["astro-ph.EP"], "published": EARLY,
        }  # fmt: skip
        assert newest() > EARLY
        file = tmp_path / "late.jsonl"
        file.write_text(json.dumps(paper) + "\n")
        run("update", "sampler", "--corpus", file)
        assert ids(run, "--mark-read") == ["2607.99999"]
        run("new", code=4)

    def test_nothing_is_marked_if_it_could_not_be_written(
        self, sampler: Path, run: Run, home: Path
    ) -> None:
        with Path("/dev/full").open("w") as full:
            process = subprocess.run(
                [sys.executable, "-m", "astrosearch", "new", "--mark-read"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert process.returncode == 1
        assert "No space left" in process.stderr
        assert ids(run)

    def test_options_that_contradict_each_other_are_refused(self, run: Run) -> None:
        assert "contradict" in run("new", "--since", "2025", "--days", 3, code=2).stderr

    def test_more_days_than_a_calendar_has_are_refused(self, run: Run) -> None:
        assert "is not in the range" in run("new", "--days", 10**8, code=2).stderr


class TestForms:
    def test_every_format_has_the_same_papers(self, streams: list[str], run: Run) -> None:
        arguments = ("new", "--since", "2025", "-k", 3)

        def ask(form: str) -> str:
            return run(*arguments, "--format", form).stdout

        papers = ask("ids").split()
        assert len(papers) == 3
        assert [line.split("\t")[2] for line in ask("table").splitlines()] == papers
        assert [json.loads(line)["id"] for line in ask("jsonl").splitlines()] == papers
        assert re.findall(r"eprint = \{(.+?)\}", ask("bibtex")) == papers
        assert re.findall(r"\]\(https://arxiv.org/abs/(.+?)\)", ask("markdown")) == papers
        assert re.findall(r'<a href="https://arxiv.org/abs/(.+?)"', ask("html")) == papers
        feed = ET.fromstring(ask("atom"))
        assert [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")] == [
            f"https://arxiv.org/abs/{one}" for one in papers
        ]

    def test_the_page_is_whole_and_fetches_nothing(self, streams: list[str], run: Run) -> None:
        page = run("new", "--since", "2025", "-k", 20, "--format", "html").stdout
        checker = _Page()
        checker.feed(page)
        checker.close()
        assert checker.open == []
        assert not re.search(r"<(?:script|img|link|iframe)|url\(|@import", page)
        assert 'name="viewport"' in page
        assert max(len(line.encode()) for line in page.splitlines()) <= 998  # as mail wants it

    def test_the_feed_has_what_the_standard_asks_for(self, streams: list[str], run: Run) -> None:
        check_atom(run("new", "--since", "2025", "-k", 20, "--format", "atom").stdout)

    def test_without_a_new_paper_the_feed_is_valid_and_empty(self, sampler: Path, run: Run) -> None:
        result = run("new", "--days", 1, "--format", "atom", code=4)
        assert check_atom(result.stdout) == []
        assert "--again" not in result.stderr  # none was shown before


class _Page(HTMLParser):
    """Knows which elements are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_atom(text: str) -> list[str]:
    """See that a feed is valid (RFC 4287, sections 4.1.1 and 4.1.2); its entries' identifiers."""
    feed = ET.fromstring(text)
    assert feed.tag == f"{ATOM}feed"
    identifiers = []
    for element in (feed, *feed.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            [child] = element.findall(f"{ATOM}{name}")
            assert child.text
        identifier = element.findtext(f"{ATOM}id") or ""
        assert re.fullmatch(r"(?:https|tag):\S+", identifier)
        identifiers.append(identifier)
        for name in ("updated", "published"):
            for child in element.findall(f"{ATOM}{name}"):
                assert datetime.fromisoformat(child.text or "").tzinfo
        assert len(element.findall(f"{ATOM}summary")) <= 1
        for link in element.findall(f"{ATOM}link"):
            assert link.get("href")
    for entry in feed.findall(f"{ATOM}entry"):
        assert entry.findall(f"{ATOM}author")
        assert entry.find(f"{ATOM}link") is not None or entry.find(f"{ATOM}content") is not None
        for author in entry.findall(f"{ATOM}author"):
            assert author.findtext(f"{ATOM}name")
    assert len({*identifiers}) == len(identifiers)
    return identifiers[1:]


def test_interests_find_papers_of_each_of_two_groups_and_no_others() -> None:
    generator = np.random.default_rng(0)

    def unit(vectors: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> Texts:
        from collections import Counter

        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return Texts(vectors.astype(np.float32), [Counter() for _ in vectors])

    centres = np.eye(64)[:2] * 6
    library = unit(np.repeat(centres, 5, axis=0) + generator.normal(size=(10, 64)) * 0.5)
    interests = Interests(
        library, np.ones(10), unit(generator.normal(size=(500, 64))), lambda _: 1.0
    )
    near = unit(centres + generator.normal(size=(2, 64)) * 0.5)
    between = unit(generator.normal(size=(50, 64)))
    assert interests.scores(near).min() > interests.scores(between).max()
    for places, is_near in interests.nearest(near):
        assert is_near
        assert len({place // 5 for place in places}) == 1
    assert abs(float(interests.scores(between).mean())) < 0.5


def test_the_soft_maximum_lies_between_mean_and_maximum() -> None:
    likeness = np.array([[0.1, 0.5, 0.9], [0.2, 0.2, 0.2]])
    first, second = soft_maximum(likeness, np.full(3, 1 / 3))
    assert 0.5 < first < 0.9
    assert second == pytest.approx(0.2)


def test_a_record_of_what_was_seen_that_is_not_whole_means_nothing_was_seen(
    sampler: Path, run: Run
) -> None:
    run("new", "--mark-read")
    [file] = (sampler / "seen").iterdir()
    file.write_text("2026-")
    assert ids(run)
    shutil.rmtree(file.parent)
    assert ids(run)
