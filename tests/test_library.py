"""The user's library: what comes in, what stays as it was, what a search in it finds."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrosearch.cli.console import Terminal
from astrosearch.errors import AstrosearchError
from astrosearch.library import bibtex_text, facts
from astrosearch.library.marks import Marks
from astrosearch.library.match import match_entries, nearest
from astrosearch.library.sources import read_source
from astrosearch.library.store import Library, changing
from astrosearch.papers import Paper
from astrosearch.search.searcher import open_index
from tests.conftest import Run
from tests.servers import loopback
from tests.zotero_database import ZoteroDatabase

FILES = Path(__file__).parent / "libraries"
SAMPLER = Path(__file__).parents[1] / "astrosearch/corpus/sampler/papers.jsonl"
WITH_DOI, DOI = "1905.12710", "10.3847/1538-4357/ab4989"


@pytest.fixture(scope="module")
def sampler_home(default_model: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an index of the sampler, one paper of which has a DOI."""
    home = tmp_path_factory.mktemp("sampler")
    lines = SAMPLER.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        if record["id"] == WITH_DOI:
            record["doi"] = DOI
    papers = home / "papers.jsonl"
    papers.write_text("\n".join(map(json.dumps, records)))
    subprocess.run(
        [sys.executable, "-m", "astrosearch", "index", "sampler", "--corpus", str(papers)],
        env={**os.environ, "ASTROSEARCH_HOME": str(home)},
        cwd=home,
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture
def sampler(sampler_home: Path, home: Path) -> Path:
    """The library's folder, beside an index of the sampler."""
    shutil.copytree(sampler_home / "indexes", home / "indexes")
    return home / "library"


@pytest.fixture
def filled(sampler: Path, run: Run) -> Path:
    """A library of what JabRef, Zotero, ADS and papis wrote."""
    for name in ("jabref", "zotero", "ads", "papis"):
        run("library", "add", FILES / f"{name}.bib", "--tag", name)
    return sampler


def added(run: Run, *arguments: object, stdin: str | None = None) -> dict[str, dict[str, object]]:
    """What `library add` says of each paper, by key."""
    out = run("library", "add", *arguments, "--format", "json", stdin=stdin).stdout
    return {record["key"]: record for record in json.loads(out)}


def ids(run: Run, *arguments: object) -> list[str]:
    return run(*arguments, "--format", "ids").stdout.split()


class TestAdding:
    def test_papers_are_matched_by_identifier_else_by_title_and_first_author(
        self, sampler: Path, run: Run
    ) -> None:
        papers = added(run, FILES / "ads.bib")
        assert papers["1994ApJ...430...83K"]["arxiv"] == "astro-ph/9404014"
        assert papers["1994ApJ...430...83K"]["matched_by"] == "arXiv id"
        assert papers["2023arXiv230911684T"]["arxiv"] == "2309.11684"
        other = papers["2019ApJ...886..100C"]  # by the same author, on the same stars
        assert not other["in_index"]
        assert "1905.12710" in str(other["reason"])
        papers = added(run, FILES / "jabref.bib")
        assert papers["Rein2012"]["matched_by"] == "title and author"
        assert papers["Rein2012"]["arxiv"] == "1110.4876"
        assert 80 <= int(str(papers["Rein2012"]["sure"])) < 100
        assert not papers["Binney2008"]["in_index"]
        assert added(run, FILES / "zotero.bib")["schneider_sloan_2007"]["arxiv"] == "0704.0806"
        papis = added(run, FILES / "papis.bib")
        assert papis["finn1993observing"]["arxiv"] == "gr-qc/9301003"

    def test_ctrl_c_while_papers_are_matched_leaves_what_was_there(
        self, filled: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "more.bib"
        file.write_text("".join(f"@misc{{n{n}, title={{Dust {n}}}}}\n" for n in range(5)))
        files = [Library.read().folder / name for name in ("library.bib", "papers.toml")]
        before = [file.read_bytes() for file in files]
        seen = []

        def progress(_: Terminal, task: str, done: int, total: int, detail: str = "") -> None:
            seen.append((task, done, total))
            if done == 3:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Terminal, "progress", progress)
        result = run("library", "add", file, "--tag", "more", code=130)
        assert "Nothing was added: the library is as it was" in result.stderr
        assert seen[-1] == ("Matching papers", 3, 5)
        assert [file.read_bytes() for file in files] == before

    def test_of_papers_with_one_title_that_of_the_author_is_taken(self) -> None:
        def paper(number: int, title: str, *authors: str) -> Paper:
            return Paper(f"1505.{number:05}", title, "", authors, (), date(2015, 5, 1))

        title = "The dust of NGC 1068"
        [entry] = bibtex_text.parse(f"@misc{{k, title={{{title}}}, author={{Wu, Bo}}}}").entries
        papers = [
            paper(1, title, "Ann Roe", "Bo Wu"),
            paper(2, "The gas of NGC 1068", "Bo Wu"),
            paper(3, title),
            paper(4, "Dust in NGC 1068", "Bo Wu", "Ann Roe"),
            paper(5, "The dust of NGC 4151", "Bo Wu"),
        ]
        assert nearest(title, entry, papers) == (98, "title and author", papers[3])
        assert nearest(title, entry, [papers[0], papers[2]]) == (80, "title", papers[2])
        assert nearest(title, entry, papers[:1]) == (50, "title and author", papers[0])
        assert nearest(title, entry, []) is None

    def test_papers_are_found_again_by_title_and_author(self, sampler: Path) -> None:
        with open_index("sampler") as searcher:
            papers = searcher.sample(60)
            entries = [
                bibtex_text.parse(
                    f"@misc{{k, title={{{paper.title}}}, author={{{paper.authors[0]}}}, "
                    f"year={paper.published.year}}}"
                ).entries[0]
                for paper in papers
            ]
            matches = match_entries(searcher, entries)
            for paper, match in zip(papers, matches, strict=True):
                assert (match.arxiv, match.sure) == (paper.id, 98)

    def test_a_doi_finds_a_paper(self, sampler: Path, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "a.bib"
        file.write_text(f"@misc{{k, url = {{https://doi.org/{DOI.upper()}}}}}")
        assert added(run, file)["k"] | {"reason": ""} == {
            "key": "k", "outcome": "added", "title": "", "arxiv": WITH_DOI, "in_index": True,
            "matched_by": "DOI", "sure": 100, "reason": "", "source": str(file), "line": 1,
        }  # fmt: skip

    def test_an_identifier_whose_title_is_another_papers_is_doubted(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "a.bib"
        file.write_text("@misc{k, title={Rings of minor planets}, eprint={0704.0806}}")
        result = added(run, file)["k"]
        assert result["sure"] == 60
        assert "Quasar Catalog" in str(result["reason"])

    def test_no_byte_of_an_entry_changes(self, filled: Path) -> None:
        text = (filled / "library.bib").read_text()
        for name in ("jabref", "zotero", "ads", "papis"):
            for entry in bibtex_text.parse((FILES / f"{name}.bib").read_text()).entries:
                assert entry.raw in text
        assert "@String{mnras" in text
        assert "jabref-meta" not in text

    def test_ris_keeps_every_field(self, sampler: Path, run: Run) -> None:
        papers = added(run, FILES / "endnote.ris")
        assert papers["Beichman2025"]["arxiv"] == "2508.03814"
        info = run("library", "info", "Beichman2025").stdout
        assert "ris-c1 =: read on the train" in info
        assert "authors: Charles Beichman, Aniket Sanghi" in info
        abstract = Library.read().find("Osterbrock1974").paper.abstract
        assert abstract.endswith("H II regions and planetary nebulae.")

    def test_identifiers_come_from_a_file_and_down_a_pipe(self, sampler: Path, run: Run) -> None:
        result = run("library", "add", FILES / "ids.txt")
        assert "ids.txt line 4: 'nonsense' is not an identifier" in result.stderr
        stars = ids(run, "query", "stars", "-k", 3)
        run("library", "add", "-", "--tag", "stars", stdin="\n".join(stars))
        assert set(ids(run, "library", "list", "--in", "tag:stars")) == set(stars)
        run("library", "add", "https://arxiv.org/abs/1703.10728v1", "--liked")
        assert ids(run, "library", "list", "--in", "liked") == ["1703.10728"]

    def test_an_identifier_that_the_index_lacks_is_kept(self, sampler: Path, run: Run) -> None:
        result = added(run, "2101.00001", "10.1000/xyz123")
        assert [record["in_index"] for record in result.values()] == [False, False]
        assert "2101.00001 is not in index sampler" in str(result["2101.00001"]["reason"])
        assert ids(run, "library", "list", "--missing") == ["2101.00001", "10.1000/xyz123"]

    def test_a_dry_run_changes_nothing(self, sampler: Path, run: Run) -> None:
        result = run("library", "add", FILES / "ads.bib", "--dry-run")
        assert "Would add 4 papers: 2 of index sampler" in result.stderr
        assert len(result.stdout.splitlines()) == 4
        assert not sampler.exists()

    def test_papers_that_are_there_stay_and_their_tags_are_joined(
        self, filled: Path, run: Run
    ) -> None:
        before = (filled / "library.bib").read_bytes()
        result = run("library", "add", FILES / "ads.bib", "--tag", "again")
        assert "Added 0 papers; 4 there already" in result.stderr
        assert (filled / "library.bib").read_bytes() == before
        assert Library.read().find("2309.11684").marks.tags == ("ads", "again")

    def test_replace_takes_the_new_entry(self, filled: Path, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "new.bib"
        file.write_text("@book{Binney2008, title={Galactic Dynamics}, url={https://example.org}}")
        run("library", "add", file)
        assert "Princeton" in (filled / "library.bib").read_text()
        run("library", "add", file, "--replace")
        text = (filled / "library.bib").read_text()
        assert file.read_text() in text
        assert "Princeton" not in text

    def test_another_paper_of_the_same_key_gets_a_key_of_its_own(
        self, filled: Path, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "new.bib"
        file.write_text("@book{Binney2008, title={The chemistry of comets}}")
        assert list(added(run, file)) == ["Binney2008a"]
        assert Library.read().find("Binney2008").paper.title == "Galactic Dynamics"

    def test_a_string_that_means_something_else_here_is_written_out(
        self, filled: Path, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "new.bib"
        file.write_text("@string{mnras={Mon.\\ Not.}}\n@misc{z, title={Zodiacal}, journal=mnras}")
        run("library", "add", file)
        assert Library.read().find("z").entry.fields["journal"] == "Mon.\\ Not."
        assert "Monthly Notices" in Library.read().find("Kaaret2017").entry.fields["journal"]

    def test_without_an_index_papers_are_kept(self, home: Path, run: Run) -> None:
        result = run("library", "add", FILES / "ads.bib", "1703.10728")
        assert "There is no index yet" in result.stderr
        assert "Added 5 papers" in result.stderr


class TestBadFiles:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b"", "is empty"),
            (b"%PDF-1.5\n\0\0\x13" + bytes(range(256)) * 50, "is not a text"),
            (b"Dear all, this is not a bibliography", "is neither BibTeX nor RIS"),
            (b"@article{k", "no BibTeX entry that can be read: line 1: the entry does not end"),
            (b"SQLite format 3\0" + b"\0" * 5_000, "is not a Zotero database"),
        ],
    )
    def test_a_file_without_papers_costs_one_line(
        self, content: bytes, line: str, filled: Path, run: Run, tmp_path: Path
    ) -> None:
        before = (filled / "library.bib").read_bytes()
        file = tmp_path / "bad.bib"
        file.write_bytes(content)
        result = run("library", "add", file, code=2)
        assert line in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert (filled / "library.bib").read_bytes() == before

    def test_what_cannot_be_read_is_told_with_its_line_and_the_rest_is_added(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "half.bib"
        file.write_text(
            "@misc{a, title={Alpha}}\n@misc{, title={No key}}\n@misc{b, title={Beta}, title={Two}}"
            "\n@misc{c\n title={Gamma}}\n@misc{d, year=2000\n title={Delta}}\n@misc{e, title={Eps"
        )
        result = run("library", "add", file)
        told = [line.partition("half.bib ")[2] for line in result.stderr.splitlines()[:-1]]
        assert told == [
            "line 2: the entry has no key",
            "line 3: title is there twice; the first counts",
            "line 4: the entry cannot be read: expected comma after entry key, but found =",
            "line 6: year has no braces around it, or lacks the comma behind it",
            "line 8: the entry does not end: a closing brace is missing",
        ]
        assert [paper.key for paper in Library.read().papers] == ["a", "b", "d"]

    def test_a_file_too_large_is_refused(self, sampler: Path, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "huge.bib"
        with file.open("wb") as stream:
            stream.write(b"@misc{a, title={b}}")
            stream.truncate(bibtex_text.LARGEST + 1)
        assert "split it" in run("library", "add", file, code=2).stderr

    def test_a_file_in_latin_1_is_read(self, sampler: Path, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "old.bib"
        file.write_bytes("@misc{a, title={\nÉtoiles}}".encode("latin-1"))
        assert "line 2 is not UTF-8" in run("library", "add", file).stderr
        assert Library.read().find("a").paper.title == "Étoiles"

    def test_what_is_neither_a_file_nor_an_identifier_is_told(
        self, sampler: Path, run: Run
    ) -> None:
        assert "there is no such file" in run("library", "add", "refs.bib", code=2).stderr
        assert "has 5 digits" in run("library", "add", "1503.0001", code=2).stderr
        assert "is empty" in run("library", "add", "", code=2).stderr
        assert "not a file of papers" in run("library", "add", os.devnull, code=2).stderr


class TestZotero:
    @staticmethod
    def fill(database: ZoteroDatabase) -> None:
        paper = database.add(
            "journalArticle",
            (("Hanno", "Rein"), ("Shang-Fei", "Liu")),
            tags=("rings", "N-body: codes"),
            automatic=("Astronomy",),
            collection="Saturn",
            title="REBOUND: an open-source multi-purpose N-body code for collisional dynamics",
            date="2012-01-00 January 2012",
            extra="Citation Key: rein12\ntex.foo: bar",
            callNumber="QB 1",
        )
        database.note(paper, "<p>See <b>section 3</b> &amp; 4.</p><p>Later.</p>")
        database.add("attachment", title="PDF")
        gone = database.add("book", (("", "Nobody"),), title="Thrown away")
        database.delete(gone)
        database.from_feed(database.add("journalArticle", title="In a feed"))
        database.add(
            "preprint",
            (("Donald P.", "Schneider"),),
            title="The SDSS Quasar Catalog IV",
            archiveID="arXiv:0704.0806",
            date="2007",
        )

    def test_a_database_is_read_while_zotero_writes_to_it(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        database = ZoteroDatabase(tmp_path / "zotero.sqlite")
        self.fill(database)
        database.db.isolation_level = None
        database.db.execute("BEGIN EXCLUSIVE")  # as Zotero holds it
        database.db.execute("UPDATE tags SET name = 'half done'")
        papers = added(run, tmp_path)
        database.db.execute("ROLLBACK")
        assert papers.keys() == {"rein12", "Schneider2007"}
        assert papers["rein12"]["arxiv"] == "1110.4876"
        assert papers["Schneider2007"]["matched_by"] == "arXiv id"
        rein = Library.read().find("rein12")
        assert rein.marks.tags == ("rings", "N-body codes", "Saturn")
        assert rein.marks.note == "See section 3 & 4.\nLater."
        assert rein.entry.fields["callnumber"] == "QB 1"
        assert rein.entry.fields["note"] == "tex.foo: bar"
        assert rein.entry.fields["month"] == "01"

    def test_the_web_api_is_read_page_by_page_with_a_key(
        self, sampler: Path, run: Run, monkeypatch: pytest.MonkeyPatch, zotero_service: str
    ) -> None:
        monkeypatch.setenv("ZOTERO_API_URL", zotero_service)
        refused = run("library", "add", "zotero:users/42", code=3).stderr
        assert "ZOTERO_API_KEY" in refused
        monkeypatch.setenv("ZOTERO_API_KEY", "secret")
        assert "no library" in run("library", "add", "zotero:groups/9", code=2).stderr
        assert "names no library" in run("library", "add", "zotero:me", code=2).stderr
        papers = added(run, "zotero:users/42")
        assert len(papers) == 120
        assert Library.read().find("Author7").marks.tags == ("odd", "Rings")

    @pytest.mark.parametrize("answer", ["null", "[1]", '[{"data": null}]', "[" * 100_000])
    def test_what_is_no_answer_of_zotero_costs_one_line(
        self, sampler: Path, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str
    ) -> None:
        with _answering(answer.encode()) as address:
            monkeypatch.setenv("ZOTERO_API_URL", address)
            said = run("library", "add", "zotero:users/42", code=1).stderr
        assert "does not answer as Zotero does" in said
        assert said.count("\n") == 1

    def test_what_an_item_lacks_costs_no_other_item(
        self, sampler: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nobody = [None, {"creatorType": "author", "lastName": None}]
        items = [
            {"key": "A", "itemType": "book", "title": "A", "creators": nobody, "tags": [None]},
            {"key": None, "itemType": None, "title": None, "creators": None, "collections": 5},
            {"key": "C", "itemType": "book", "title": "C", "citationKey": "c", "parentItem": [1]},
        ]
        answer = json.dumps([{"data": item} for item in items])
        with _answering(answer.encode()) as address:
            monkeypatch.setenv("ZOTERO_API_URL", address)
            run("library", "add", "zotero:users/42")
        titles = [paper.entry.fields.get("title") for paper in Library.read().papers]
        assert {"A", "C"} <= {*titles}


@contextmanager
def _answering(content: bytes) -> Iterator[str]:
    """The address of a service that answers the same to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with loopback(Handler) as address:
        yield address


@pytest.fixture
def zotero_service() -> Iterator[str]:
    """A service that answers as Zotero's, after it was too busy once."""
    items = [
        {
            "itemType": "journalArticle",
            "key": f"K{number}",
            "title": f"Paper number {number}",
            "citationKey": f"Author{number}",
            "creators": [{"creatorType": "author", "name": f"Author {number}"}],
            "tags": [{"tag": "odd"}] if number % 2 else [{"tag": "auto", "type": 1}],
            "collections": ["C1"],
        }
        for number in range(120)
    ]
    busy = [True]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: int(values[0]) for name, values in parse_qs(url.query).items()
                     if name != "format"}  # fmt: skip
            if self.headers.get("Authorization") != "Bearer secret":
                self.answer(403, [])
            elif not url.path.startswith("/users/42/"):
                self.answer(404, [])
            elif busy:
                busy.clear()
                self.answer(429, [], {"Retry-After": "0"})
            elif url.path.endswith("/collections"):
                self.answer(200, [{"data": {"key": "C1", "name": "Rings"}}])
            else:
                page = items[query["start"] :][: query["limit"]]
                self.answer(200, [{"data": item} for item in page])

        def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestHandEdits:
    def test_edits_of_both_files_are_taken_in(self, filled: Path, run: Run) -> None:
        bib = filled / "library.bib"
        bib.write_text(f"% my papers\n{bib.read_text()}\n@misc{{hand, title={{By hand}}}}\n")
        marks = filled / "papers.toml"
        marks.write_text(f"{marks.read_text()}\n[hand]\ntags = ['own']  # mine\nread = true\n")
        run("library", "tag", "hand", "--liked")
        assert bib.read_text().startswith("% my papers\n")
        assert "tags = ['own']  # mine" in marks.read_text()
        assert Library.read().find("hand").marks == Marks(tags=("own",), opinion="liked", read=True)

    def test_bad_edits_are_told_with_their_line_and_stay(self, filled: Path, run: Run) -> None:
        bib, marks = filled / "library.bib", filled / "papers.toml"
        bib.write_text(bib.read_text() + "\n@misc{broken, title={x\n")
        lines = bib.read_text().count("\n")
        marks.write_text(
            marks.read_text() + '\n[Kaaret2017.x]\n[nobody]\nopinion = "great"\ncolour = "red"\n'
        )
        start = marks.read_text().count("\n") - 2
        told = run("library", "list").stderr.splitlines()
        assert told[0].startswith(f"library.bib line {lines}: the entry does not end")
        assert f'papers.toml line {start + 1}: opinion is neither "liked" nor "disliked"' in told
        assert f"papers.toml line {start + 2}: colour has no meaning here" in told
        assert "papers.toml: there is no entry nobody in library.bib" in told
        run("library", "tag", "Binney2008", "--read")
        assert bib.read_text().endswith("@misc{broken, title={x\n")
        assert 'colour = "red"' in marks.read_text()

    def test_marks_that_are_not_toml_stop_a_change_and_are_not_touched(
        self, filled: Path, run: Run
    ) -> None:
        marks = filled / "papers.toml"
        marks.write_text("[a]\ntags = [\n")
        result = run("library", "tag", "Binney2008", "--read", code=2)
        assert "papers.toml cannot be read" in result.stderr
        assert "line" in result.stderr
        assert marks.read_text() == "[a]\ntags = [\n"

    def test_removing_a_paper_leaves_everything_else_as_it_was(
        self, filled: Path, run: Run
    ) -> None:
        bib = filled / "library.bib"
        before = bib.read_text()
        run("library", "add", "2408.14301", "--tag", "x")
        run("library", "remove", "--in", "tag:x")
        assert bib.read_text().rstrip() == before.rstrip()
        run("library", "remove", "Binney2008", "--dry-run")
        run("library", "remove", "Binney2008", "kaaret2017")
        entries = [entry.key for entry in bibtex_text.parse(bib.read_text()).entries]
        assert entries[:2] == ["Rein2012", "schneider_sloan_2007"]
        assert "Kaaret2017" not in (filled / "papers.toml").read_text()
        assert "is not in the library" in run("library", "remove", "Rein2013", code=4).stderr
        said = run("library", "tag", "2503.14368", "--tag", "streams", code=4).stderr
        assert "to add a paper with a tag: astrosearch library add" in said

    def test_an_export_read_again_is_the_same_library(
        self, filled: Path, run: Run, tmp_path: Path
    ) -> None:
        before = {paper.key: paper.entry.raw for paper in Library.read().papers}
        run("library", "export", tmp_path / "all.bib")
        assert "exists" in run("library", "export", tmp_path / "all.bib", code=2).stderr
        shutil.rmtree(filled)
        run("library", "add", tmp_path / "all.bib")
        assert {paper.key: paper.entry.raw for paper in Library.read().papers} == before


class TestSearching:
    def test_papers_that_the_index_lacks_are_found_by_their_own_text(
        self, filled: Path, run: Run
    ) -> None:
        assert ids(run, "query", "dynamics of stellar systems", "--in", "library")[0] == (
            "Binney2008"
        )
        for mode in ("lexical", "dense", "hybrid"):
            found = ids(
                run, "query", "cooling white dwarfs", "--in", "library", "--mode", mode, "-k", 2
            )
            assert found[0] == "2019ApJ...886..100C", mode
        assert ids(run, "query", '"galactic dynamic"', "--in", "library") == ["Binney2008"]
        assert ids(run, "query", "author:tremaine", "--in", "library") == ["Binney2008"]
        assert ids(run, "query", "stars year:1970-1980", "--in", "library") == [
            "1978PhDT.......123Z"
        ]
        entry = run(
            "query", "author:tremaine", "--in", "library", "--format", "bibtex"
        ).stdout.strip()
        assert entry in (FILES / "jabref.bib").read_text()

    def test_answers_stay_within_what_was_named(self, filled: Path, run: Run) -> None:
        every = set(ids(run, "query", "stars", "--in", "library", "-k", 100))
        assert every == {paper.id for paper in Library.read().papers}
        ads = set(ids(run, "query", "stars", "--in", "tag:ads", "-k", 100))
        assert len(ads) == 4
        assert ads < every
        rest = set(ids(run, "query", "stars", "--in", "library", "--not-in", "tag:ads", "-k", 99))
        assert rest == every - ads
        others = set(ids(run, "query", "stars", "--not-in", "library", "-k", 1000))
        assert not others & every
        assert len(others) + len({one for one in every if one[0].isdigit() or "/" in one}) >= 264

    def test_the_order_of_the_papers_of_the_index_stays(self, filled: Path, run: Run) -> None:
        everywhere = ids(run, "query", "stars", "-k", 264)
        inside = ids(run, "query", "stars", "--in", "library", "-k", 100)
        known = [one for one in inside if one in everywhere]
        records = json.loads(
            run("query", "stars", "--in", "library", "-k", 100, "--format", "json").stdout
        )["hits"]
        scores = [record["score"] for record in records]
        assert scores == sorted(scores, reverse=True)
        assert [record["rank"] for record in records] == list(range(1, len(records) + 1))
        assert len(known) == 7

    def test_similar_and_the_shell_stay_in_the_library_too(self, filled: Path, run: Run) -> None:
        found = ids(run, "similar", "1905.12710", "--in", "tag:ads")
        assert found[0] == "2019ApJ...886..100C"
        lines = "/in tag:jabref\nstars\n/in\n/not-in library\nstars\n"
        first, *others = run("shell", "-k", 3, "--format", "ids", stdin=lines).stdout.split()
        assert {first, *others[:2]} == {"1110.4876", "Binney2008", "1703.10728"}
        assert not {*others[2:]} & {paper.id for paper in Library.read().papers}

    def test_filters_without_words_list_the_newest(self, filled: Path, run: Run) -> None:
        found = ids(run, "query", "--in", "tag:ads")
        assert found == [
            "2309.11684", "2019ApJ...886..100C", "astro-ph/9404014", "1978PhDT.......123Z"
        ]  # fmt: skip

    def test_what_names_no_papers_is_told(self, filled: Path, run: Run) -> None:
        said = run("query", "stars", "--in", "tag:nowhere", code=2).stderr
        assert "no paper of the library has the tag 'nowhere'; there are: ads" in said
        assert "names no papers" in run("query", "stars", "--in", "mine", code=2).stderr
        assert "in tag:ads" in run("query", '"xyzzy"', "--in", "tag:ads", code=4).stderr

    def test_an_empty_library_says_how_to_fill_it(self, sampler: Path, run: Run) -> None:
        assert "library add" in run("query", "stars", "--in", "library", code=2).stderr
        assert "library add" in run("library", "list", code=4).stderr


def _add_many(folder: str, name: str) -> None:
    for number in range(20):
        with changing(Path(folder)) as change:
            bib = bibtex_text.parse(f"@misc{{{name}{number}, title={{{name} {number}}}}}")
            change.add(bib.entries[0], Marks(tags=(name,)), bib)


def test_processes_that_change_the_library_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_add_many, args=(str(tmp_path), name)) for name in ("a", "b", "c")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    library = Library.read(tmp_path)
    assert len(library) == 60
    assert library.tags() == {"a": 20, "b": 20, "c": 20}


def test_a_change_that_fails_leaves_the_library_as_it_was(tmp_path: Path) -> None:
    _add_many(str(tmp_path), "a")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    bib = bibtex_text.parse("@misc{z, title={z}}")

    def fail() -> None:
        with changing(tmp_path) as change:
            change.add(bib.entries[0], Marks(), bib)
            raise AstrosearchError("no")

    with pytest.raises(AstrosearchError):
        fail()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_many_papers_of_one_key_all_come_and_go(tmp_path: Path) -> None:
    entries = [f"@misc{{Wu, title={{Éclair {number} of dust}}}}" for number in range(3_000)]
    bib = bibtex_text.parse("\n".join(entries))
    with changing(tmp_path) as change:
        for entry in (*bib.entries, *bib.repeated):
            change.add(entry, Marks(), bib)
    library = Library.read(tmp_path)
    assert len(library) == 3_000
    keys = [paper.key for paper in library.papers]
    assert [*keys[:3], *keys[26:29], keys[-1]] == [
        "Wu", "Wua", "Wub", "Wuz", "Wu-26", "Wu-27", "Wu-2998"
    ]  # fmt: skip
    with changing(tmp_path) as change:
        change.remove(change.library.papers[1:-1])
    left = (tmp_path / "library.bib").read_text()
    assert left == f"{entries[0]}\n\n@misc{{Wu-2998, title={{Éclair 2999 of dust}}}}\n"


@given(st.text(alphabet='@{}",=# \n\\abtitle%misc', max_size=200))
def test_no_text_breaks_the_reader_of_bibtex(text: str) -> None:
    bib = bibtex_text.parse(text)
    for entry in bib.entries:
        assert bib.text[entry.start : entry.end] == entry.raw
        facts.paper(entry, entry.key)


@settings(max_examples=50)
@given(st.data())
def test_adding_and_removing_in_any_order_keeps_all_other_bytes(data: st.DataObject) -> None:
    import tempfile

    pieces = [
        f"@misc{{k{number},\n  title = {{Title {number}}},\n  own = {{field {number}}}\n}}"
        for number in range(6)
    ]
    noise = data.draw(st.lists(st.sampled_from(["% note", "", "@comment{x}", "plain text"])))
    text = "\n\n".join([*pieces[:3], *noise, *pieces[3:]]) + "\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library.bib").write_text(text)
        gone = data.draw(st.sets(st.integers(0, 5), max_size=5))
        with changing(folder) as change:
            change.remove([paper for paper in change.library.papers if int(paper.key[1:]) in gone])
        left = (folder / "library.bib").read_text()
        for number, piece in enumerate(pieces):
            assert (piece in left) == (number not in gone)
        for line in filter(None, noise):
            assert left.count(line) == noise.count(line)


def test_authors_and_dates_are_read_as_bibtex_means_them() -> None:
    [entry] = bibtex_text.parse(
        r"""@article{k, author = {van der Berg, Ann and {The Lighthouse Collaboration} and
            Garc{\'\i}a, Jr., Luis and others}, year = 2019, month = feb, journal = \mnras,
            volume = {12}, pages = {3--9}, title = {On {H}$\alpha$ in {NGC}~1068}}"""
    ).entries
    assert facts.authors(entry) == (
        "Ann van der Berg", "The Lighthouse Collaboration", "Luis García Jr.", "et al."
    )  # fmt: skip
    assert facts.day(entry).isoformat() == "2019-02-01"  # type: ignore[union-attr]
    assert facts.journal(entry) == "MNRAS"
    assert facts.published_in(entry) == "MNRAS 12, 3–9 (2019)"
    assert facts.title(entry) == "On Hα in NGC 1068"


def test_names_dois_and_categories_are_read_as_biblatex_has_them() -> None:
    [entry] = bibtex_text.parse(
        r"""@article{k, author = {family=Berg, given=Ann {\'E}., given-i=AE, prefix=van der,
            useprefix=true and family={Okafor}, given=Nia, suffix=Jr. and Roe, Kay},
            doi = {10.1000/made{\_}1\_b}, title = {Dust}, eprintclass = {astro-ph.GA}}"""
    ).entries
    assert facts.authors(entry) == ("Ann É. van der Berg", "Nia Okafor Jr.", "Kay Roe")
    assert facts.first_author(entry) == "Ann É. van der Berg"
    assert facts.doi(entry) == "10.1000/made_1_b"
    assert facts.paper(entry, "k").categories == ("astro-ph.GA",)


@pytest.mark.parametrize(
    ("fields", "identifier"),
    [
        ("eprint={arXiv:1903.07603v2}", "1903.07603"),
        ("eprint={9401008}, primaryClass={astro-ph}", "astro-ph/9401008"),
        ("eprint={12345}, archivePrefix={HAL}", None),
        ("journal={arXiv preprint arXiv:1903.07603}", "1903.07603"),
        ("note={see arXiv:astro-ph/9401008.}", "astro-ph/9401008"),
        ("url={https://arxiv.org/pdf/1903.07603v1.pdf}", "1903.07603"),
        ("doi={10.48550/arXiv.1903.07603}", "1903.07603"),
        ("adsurl={https://ui.adsabs.harvard.edu/abs/2019arXiv190307603R}", "1903.07603"),
        ("eprinttype={arxiv}, eprint={1903.07603}", "1903.07603"),
        ("eprinttype={arxiv}, eprintclass={astro-ph}, eprint={9401008}", "astro-ph/9401008"),
        ("note={accepted 2019.03}", None),
    ],
)
def test_identifiers_are_found_where_programs_put_them(fields: str, identifier: str | None) -> None:
    [entry] = bibtex_text.parse(f"@misc{{k, {fields}}}").entries
    assert facts.arxiv_id(entry) == identifier
    assert facts.doi(entry) is None


def test_random_bytes_never_crash_the_reader_of_sources(tmp_path: Path) -> None:
    random_bytes = random.Random(0)
    file = tmp_path / "x.bib"
    for start in (b"", b"@misc{a, title={b}}\n", b"TY  - JOUR\n", b"\xff\xfe"):
        for _ in range(20):
            file.write_bytes(start + random_bytes.randbytes(300).replace(b"\0", b""))
            try:
                read_source(str(file), None)
            except AstrosearchError:
                continue


# What is not as it should be


def test_a_file_that_does_not_end_costs_one_line(run: Run, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "huge.bib"
    good = "@book{good, title={Light}, author={Wu, B.}}\n"
    path.write_text(f"{good}@article{{x, title={{{'unclosed @ { } , = ' * 300_000}\n{good}")
    said = run("library", "add", path).stderr
    assert "line 2: what begins here has 6 million characters, and no end" in said
    assert "Added 1 paper" in said
    path.write_text("@article{x, title={" + "{}, = @" * 300_000)
    refused = run("library", "add", path, code=2).stderr
    assert "line 1: what begins here has 2 million characters" in refused
    assert refused.count("\n") == 2  # the other says that there is no index
    path.write_text("\n" * 3_000_000)
    assert "is empty" in run("library", "add", path, code=2).stderr
    path.write_text("@a{b\n" * 600_000)
    assert "600,000 entries are too many" in run("library", "add", path, code=2).stderr


def test_a_pipe_of_a_shell_is_read(run: Run, home: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = b"@book{good, title={Light}, author={Wu, B.}}\n"
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    assert "Added 1 paper" in run("library", "add", pipe).stderr
    writer.join()


@pytest.mark.usefixtures("home")
def test_an_identifier_that_the_index_does_not_know_is_named(
    run: Run, eight_papers: Path, home: Path
) -> None:
    shutil.copytree(eight_papers, home, dirs_exist_ok=True)
    said = run("library", "add", "10.1000/unknown.7").stdout
    assert "10.1000/unknown.7 is not known to index papers, and it has no title" in said


def test_an_entry_that_is_replaced_brings_no_names_that_come_too_late(
    run: Run, home: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.bib", tmp_path / "second.bib"
    first.write_text("@book{good, title={Light}, author={Wu, B.}}\n")
    second.write_text(
        '@string{pub = "Press"}\n@book{good, title={Light}, author={Wu, B.}, publisher=pub}\n'
    )
    run("library", "add", first)
    run("library", "add", second, "--replace")
    assert "publisher={Press}" in (home / "library/library.bib").read_text()
