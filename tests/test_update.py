"""`astrosearch update`: files that change, and arXiv, against a service on loopback."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astrosearch.corpus.intake import Selection
from astrosearch.index.build import build
from astrosearch.index.folder import locked, remove
from astrosearch.index.manifest import Manifest
from astrosearch.index.merge import merge
from astrosearch.index.papers import open_papers
from astrosearch.index.refresh import update as update_index
from astrosearch.index.update import Growth
from tests.arxiv_service import Arxiv, invented, serve, text_of
from tests.conftest import LONG, Run, kaggle_line
from tests.letters import SPEC, Letters, build_letters, letters_paper, write_letters
from tests.reporters import StopAfter, Stopped

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
QUESTIONS = (
    "stars in a dwarf galaxy",
    "magnetic field of gas and dust",
    "neutron stars and black hole mass",
    "hydrogen emission around a quasar",
    "planet orbit in a disc",
    "we find 17",
)


def titles(folder: Path) -> dict[str, str]:
    """Abstracts by id."""
    with open_papers(folder) as corpus:
        return {paper.id: paper.abstract for paper in corpus}


def answers(run: Run, name: str) -> list[list[tuple[str, float]]]:
    """Ids and scores of the papers found for each question."""
    rankings = []
    for question in QUESTIONS:
        result = run("query", question, "--index", name, "--format", "jsonl", "-k", 20)
        hits = [json.loads(line) for line in result.stdout.splitlines()]
        assert hits
        rankings.append([(hit["id"], hit["score"]) for hit in hits])
    return rankings


def assert_equal(run: Run, grown: str, whole: str) -> None:
    """An index that grew answers as one that was built in one go."""
    from astrosearch import paths

    assert titles(paths.index_folder(grown)) == titles(paths.index_folder(whole))
    for ours, theirs in zip(answers(run, grown), answers(run, whole), strict=True):
        assert [score for _, score in ours] == pytest.approx(
            [score for _, score in theirs], abs=1e-4
        )
        # Papers with the same score may be in another order, also at the end of the list.
        scores = dict(theirs)
        last = min(ours[-1][1], theirs[-1][1]) + 2e-4
        assert dict(ours).keys() >= {paper_id for paper_id, score in theirs if score > last}
        for paper_id, score in ours:
            assert scores.get(paper_id, score) == pytest.approx(score, abs=1e-4)


def line_of(number: int, **changes: object) -> str:
    """A record of a file; its abstract is unlike any other."""
    return kaggle_line(number, **{"abstract": text_of(number), **changes})


@pytest.fixture
def built(run: Run, snapshot: Path, tiny_llama: Path) -> Path:
    """An index `main` of the snapshot. Its encoder runs no layer, so that a vector does not depend
    on the texts that are encoded at the same time."""
    from astrosearch import paths

    run("index", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    return paths.index_folder("main")


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """150 papers."""
    path = tmp_path / "snapshot.json"
    append(path, *map(line_of, range(150)))
    return path


def append(path: Path, *lines: str) -> None:
    with path.open("a") as stream:
        stream.writelines(line + "\n" for line in lines)


def changed_line(number: int, abstract: str, **changes: object) -> str:
    versions = [
        {"version": f"v{version}", "created": "Fri, 06 May 2016 00:00:00 GMT"} for version in (1, 2)
    ]
    return line_of(number, abstract=abstract, versions=versions, **changes)


def withdrawn_line(number: int) -> str:
    return changed_line(number, "A text.", comments="This paper has been withdrawn by the author.")


# Files


def test_nothing_new_is_quiet_and_writes_nothing(run: Run, built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    result = run("update")
    assert result.output == ""
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def test_appended_lines_are_read_alone(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    append(snapshot, line_of(150), changed_line(3, "Gas in a stream."), withdrawn_line(4))
    result = run("update", "main", "--json")
    assert result.stderr == "Index main: 1 new, 1 replaced, 1 removed; 150 papers\n"
    report = json.loads(result.stdout)
    assert report["new"] == [json.loads(line_of(150))["id"]]
    assert (report["added"], report["replaced"], report["removed"]) == (1, 1, 1)
    assert (report["papers"], report["encoded"], report["index"]) == (150, 2, "main")
    assert Manifest.read(built).corpus.lines == 153
    run("index", "whole", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    assert_equal(run, "main", "whole")
    assert run("update").output == ""


def test_an_index_that_was_updated_is_up_to_date_for_a_build(
    run: Run, built: Path, snapshot: Path
) -> None:
    append(snapshot, line_of(150), changed_line(3, "Gas in a stream."))
    run("update")
    assert "Index main is up to date: 151 papers" in run("index", "main").stderr


def test_a_changed_file_is_read_whole_and_papers_it_lost_go(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    lines = snapshot.read_text().splitlines()
    lines[7] = lines[7].replace("we find", "we saw")
    del lines[20:25]
    snapshot.write_text("\n".join([*lines, line_of(200)]) + "\n")
    line = run("update").stderr
    assert line == "Index main: 1 new, 1 replaced, 5 removed; 146 papers\n"
    run("index", "whole", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    assert_equal(run, "main", "whole")


def test_a_change_of_one_letter_that_keeps_the_size_is_seen(
    run: Run, built: Path, snapshot: Path
) -> None:
    lines = snapshot.read_text().splitlines()
    lines[70] = lines[70].replace("we find", "we feel")
    snapshot.write_text("\n".join(lines) + "\n")
    os.utime(snapshot, (1, 1))  # however coarse the clock of the file system is
    assert run("update").stderr == "Index main: 0 new, 1 replaced, 0 removed; 150 papers\n"


def test_a_file_that_was_touched_changes_nothing(run: Run, built: Path, snapshot: Path) -> None:
    os.utime(snapshot, (1, 1))
    assert run("update").output == ""


def test_a_line_that_was_not_whole_is_read_when_it_is(
    run: Run, built: Path, snapshot: Path
) -> None:
    line = line_of(150)
    with snapshot.open("a") as stream:
        stream.write(line[:50])
    assert "1 line was refused" in run("update").stderr
    with snapshot.open("a") as stream:
        stream.write(line[50:] + "\n")
    assert "1 new, 0 replaced, 0 removed; 151 papers" in run("update").stderr


def test_a_missing_file_is_one_line_and_the_index_stays(
    run: Run, built: Path, snapshot: Path
) -> None:
    snapshot.unlink()
    result = run("update", code=1)
    [line] = result.stderr.splitlines()
    assert line == f"astrosearch: {snapshot}: no such file any more; index main stays as it was"
    run("query", "stars")


def test_a_file_without_papers_any_more_leaves_the_index_as_it_was(
    run: Run, built: Path, snapshot: Path
) -> None:
    snapshot.write_text('{"id": 1}\n')
    result = run("update", code=1)
    assert "index main stays as it was" in result.stderr
    assert len(titles(built)) == 150


def test_the_last_paper_is_not_taken_out(run: Run, tmp_path: Path, tiny_llama: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    append(mine, line_of(1))
    run("index", "mine", "--corpus", mine, "--encoder", tiny_llama, "--layers", 0)
    append(mine, withdrawn_line(1))
    assert "no paper of index mine would be left" in run("update", code=1).stderr


def test_an_added_file_becomes_a_source(run: Run, built: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    append(more, line_of(150), line_of(0))
    assert "1 new, 0 replaced, 0 removed" in run("update", "--corpus", more).stderr
    append(more, line_of(151))
    assert "1 new, 0 replaced, 0 removed" in run("update").stderr
    manifest = Manifest.read(built)
    assert str(more) in manifest.corpus.sources
    assert manifest.segments[-1].source == str(more)
    assert run("update", "--corpus", more).output == ""


def test_an_added_file_that_is_not_a_corpus_is_refused(
    run: Run, built: Path, tmp_path: Path
) -> None:
    run("update", "--corpus", tmp_path / "nowhere.jsonl", code=2)
    assert len(Manifest.read(built).corpus.sources) == 1


def test_a_sample_is_drawn_anew_from_all_lines(run: Run, snapshot: Path, tiny_llama: Path) -> None:
    run("index", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0, "--sample", 40)
    append(snapshot, *map(line_of, range(150, 300)))
    run("update")
    run(
        "index",
        "whole",
        "--corpus",
        snapshot,
        "--encoder",
        tiny_llama,
        "--layers",
        0,
        "--sample",
        40,
    )
    assert_equal(run, "main", "whole")


def test_a_stopped_build_goes_on_after_an_update(tmp_path: Path) -> None:
    source, folder = tmp_path / "papers.jsonl", tmp_path / "index"
    papers = [letters_paper(number) for number in range(150)]
    build_letters(folder, write_letters(source, papers))
    other = replace(SPEC, revision="2")
    watch = StopAfter(2)
    with pytest.raises(Stopped):
        build(folder, [source], Selection(), other, Letters, reporter=watch)
    assert update_index(folder, Letters).growth == Growth()
    write_letters(source, [*papers, letters_paper(150)])
    assert update_index(folder, Letters).growth.encoded == 1
    merge(folder)
    assert not build_letters(folder, source).changed
    report = build(folder, [source], Selection(), other, Letters)
    assert (report.encoded, report.reused) == (151 - watch.encoded, watch.encoded)
    assert not folder.with_name(".index.partial").exists()


def test_a_stopped_update_goes_on_after_a_stopped_build(tmp_path: Path) -> None:
    source, folder = tmp_path / "papers.jsonl", tmp_path / "index"
    build_letters(folder, write_letters(source, [letters_paper(200)]))
    write_letters(source, [letters_paper(number) for number in (200, *range(150))])
    watch = StopAfter(2)
    with pytest.raises(Stopped):
        update_index(folder, Letters, reporter=watch)
    other = replace(SPEC, revision="2")
    with pytest.raises(Stopped):
        build(folder, [source], Selection(), other, Letters, reporter=StopAfter(1))
    assert update_index(folder, Letters).growth.encoded == 150 - watch.encoded
    assert folder.with_name(".index.partial").exists()
    remove(folder)
    assert not folder.with_name(".index.partial").exists()


def test_a_second_update_at_the_same_time_is_one_line(run: Run, built: Path) -> None:
    with locked(built):
        result = run("update", code=1)
    [line] = result.stderr.splitlines()
    assert "another process" in line


def test_an_update_without_an_index_is_exit_code_three(run: Run) -> None:
    run("update", code=3)


def test_options_for_arxiv_are_refused_for_an_index_of_files(run: Run, built: Path) -> None:
    assert "--pause has no effect" in run("update", "--pause", "1", code=2).stderr
    assert "--pause needs --arxiv" in run("index", "main", "--pause", "1", code=2).stderr


def test_many_updates_fold_their_segments(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    for number in range(150, 170):
        append(snapshot, line_of(number))
        run("update")
    assert len(Manifest.read(built).segments) == 21
    assert "21 segments merged into one" in run("indexes", "merge", "main").stderr
    assert len(Manifest.read(built).segments) == 1
    assert "is one segment already" in run("indexes", "merge", "main").stderr
    run("index", "whole", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    assert_equal(run, "main", "whole")


# arXiv

COMMAND = ("index", "--arxiv", "--pause", 0, "--since", TODAY - 320 * DAY)


@pytest.fixture
def arxiv() -> Iterator[Arxiv]:
    """100 papers that changed in the last 300 days."""
    service = Arxiv(today=TODAY - 2 * DAY, page=30)
    service.put(*(invented(number, service.today - 3 * number * DAY) for number in range(100)))
    server = serve(service)
    yield service
    server.shutdown()
    server.server_close()


@pytest.fixture
def from_arxiv(run: Run, arxiv: Arxiv, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an index `astro` of these papers."""
    from astrosearch import paths

    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    run(*COMMAND, "--index", "astro", "--encoder", tiny_llama, "--layers", 0)
    return paths.index_folder("astro")


def update(run: Run) -> dict[str, object]:
    result: dict[str, object] = json.loads(run("update", "--pause", 0, "--json").stdout)
    return result


def assert_as_built_now(run: Run, arxiv: Arxiv, tiny_llama: Path) -> None:
    """The index is that which is built from the service's records as they are now."""
    run(*COMMAND, "--index", "whole", "--encoder", tiny_llama, "--layers", 0)
    assert_equal(run, "astro", "whole")
    run("indexes", "verify", "astro")


def test_an_index_of_arxiv_has_all_papers_and_says_what_it_takes(
    run: Run, arxiv: Arxiv, tiny_llama: Path
) -> None:
    result = run(
        *("index", "astro", "--arxiv", "--pause", 0, "--encoder", tiny_llama, "--layers", 0),
        *("--base-url", arxiv.base_url),
    )
    from astrosearch import paths

    folder = paths.index_folder("astro")
    assert titles(folder) == {key: record.abstract for key, record in arxiv.records.items()}
    assert "about 4" in result.stderr
    assert "minutes" in result.stderr
    state = Manifest.read(folder).corpus.arxiv
    assert state is not None
    assert (state.set, state.reached) == ("physics:astro-ph", "2005-09-16")
    assert state.until == str(arxiv.today)
    days = [asked["from"] for asked in arxiv.asked if "from" in asked]
    assert days == sorted(days, reverse=True)
    info = run("indexes", "info", "astro").stdout
    assert f"physics:astro-ph, 2005-09-16 to {arxiv.today}" in info


def test_since_bounds_the_days_of_papers_and_can_be_lowered(
    run: Run, arxiv: Arxiv, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astrosearch import paths

    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    folder = paths.index_folder("astro")
    since = arxiv.today - 50 * DAY
    command = ("index", "astro", "--arxiv", "--pause", 0, "--encoder", tiny_llama, "--layers", 0)
    run(*command, "--since", since)
    expected = {key for key, record in arxiv.records.items() if record.published >= since}
    assert set(titles(folder)) == expected
    assert all(asked["from"] >= str(since) for asked in arxiv.asked if "from" in asked)
    run(*command, "--since", since - 100 * DAY)
    since -= 100 * DAY
    expected = {key for key, record in arxiv.records.items() if record.published >= since}
    assert set(titles(folder)) == expected


def test_a_category_takes_its_own_papers(
    run: Run, arxiv: Arxiv, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astrosearch import paths

    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    run(
        *COMMAND,
        *("--index", "he", "--category", "astro-ph.HE"),
        *("--encoder", tiny_llama, "--layers", 0),
    )
    assert set(titles(paths.index_folder("he"))) == {
        key for key, record in arxiv.records.items() if "astro-ph.HE" in record.categories
    }
    assert {asked["set"] for asked in arxiv.asked if "set" in asked} == {"physics:astro-ph:HE"}


def test_nothing_new_at_arxiv_is_quiet(run: Run, from_arxiv: Path, arxiv: Arxiv) -> None:
    before = (from_arxiv / "manifest.json").read_bytes()
    arxiv.asked.clear()
    assert run("update", "--pause", 0).output == ""
    assert (from_arxiv / "manifest.json").read_bytes() == before
    [asked] = arxiv.asked
    assert asked["from"] == str(arxiv.today - DAY)


def test_new_replaced_withdrawn_deleted_and_moved_papers_come_with_an_update(
    run: Run, from_arxiv: Path, arxiv: Arxiv, tiny_llama: Path
) -> None:
    ids = list(arxiv.records)
    arxiv.today += DAY
    new = invented(900, arxiv.today)
    arxiv.put(new)
    arxiv.change(ids[10], abstract="Gas in a stream.", versions=2)
    arxiv.change(ids[11], comments="This paper has been withdrawn.", versions=2)
    arxiv.change(ids[12], is_deleted=True)
    arxiv.change(ids[13], categories="gr-qc")
    arxiv.change(ids[14], categories="astro-ph.SR")
    report = update(run)
    assert report["new"] == [new.id]
    assert (report["added"], report["replaced"], report["removed"]) == (1, 2, 3)
    abstracts = titles(from_arxiv)
    assert abstracts[ids[10]] == "Gas in a stream."
    assert not {ids[11], ids[12], ids[13]} & abstracts.keys()
    assert_as_built_now(run, arxiv, tiny_llama)


def test_a_paper_that_comes_back_is_there_again(
    run: Run, from_arxiv: Path, arxiv: Arxiv, tiny_llama: Path
) -> None:
    paper_id = list(arxiv.records)[12]
    arxiv.today += DAY
    arxiv.change(paper_id, is_deleted=True)
    assert update(run)["removed"] == 1
    arxiv.today += DAY
    arxiv.change(paper_id, is_deleted=False)
    assert update(run)["new"] == [paper_id]
    assert_as_built_now(run, arxiv, tiny_llama)


def test_what_changes_twice_on_one_day_comes_the_second_time_too(
    run: Run, from_arxiv: Path, arxiv: Arxiv
) -> None:
    paper_id = list(arxiv.records)[12]
    arxiv.today += DAY
    for text in ("First gas.", "Then dust."):
        arxiv.change(paper_id, abstract=text)
        assert update(run)["replaced"] == 1
        assert titles(from_arxiv)[paper_id] == text
    # The evening of the day on which it was last asked.
    arxiv.change(paper_id, abstract="At last stars.")
    arxiv.today += DAY
    assert update(run)["replaced"] == 1
    assert titles(from_arxiv)[paper_id] == "At last stars."


@pytest.mark.parametrize("days", [-70, 3])
def test_the_clock_of_the_service_counts_where_this_machines_is_wrong(
    run: Run, arxiv: Arxiv, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    records = list(arxiv.records.values())
    arxiv.records.clear()
    arxiv.today = TODAY + days * DAY
    arxiv.put(*(replace(record, changed=record.changed + days * DAY) for record in records))
    run(*COMMAND, "--index", "astro", "--encoder", tiny_llama, "--layers", 0)
    for number in (900, 901):
        arxiv.today += DAY
        new = invented(number, arxiv.today)
        arxiv.put(new)
        assert update(run)["new"] == [new.id]
    assert run("update", "--pause", 0).output == ""
    assert_as_built_now(run, arxiv, tiny_llama)


def test_a_harvest_that_fails_is_searchable_and_goes_on(
    run: Run, arxiv: Arxiv, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astrosearch import paths

    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    arxiv.fail_after = 4
    command = (*COMMAND, "--index", "astro", "--encoder", tiny_llama, "--layers", 0)
    run(*command, code=1)
    folder = paths.index_folder("astro")
    state = Manifest.read(folder).corpus.arxiv
    assert state is not None
    assert not state.is_complete
    run("query", "stars", "--index", "astro")
    assert "astrosearch update fetches the rest" in run("indexes", "info", "astro").stdout
    arxiv.fail_after = None
    update(run)
    assert_as_built_now(run, arxiv, tiny_llama)


def test_an_index_of_arxiv_and_a_file(
    run: Run, from_arxiv: Path, arxiv: Arxiv, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.jsonl"
    versions = [{"version": "v1", "created": f"{TODAY - 9 * DAY:%a, %d %b %Y} 00:00:00 GMT"}]
    append(mine, *(line_of(number, versions=versions) for number in (1, 3)), line_of(4))
    before = len(titles(from_arxiv))
    run("update", "--pause", 0, "--corpus", mine)
    assert len(titles(from_arxiv)) == before + 2
    lines = mine.read_text().splitlines()
    mine.write_text(lines[0].replace("we find", "we saw") + "\n" + lines[1] + "\n")
    arxiv.today += DAY
    arxiv.put(invented(900, arxiv.today))
    report = update(run)
    assert (report["added"], report["replaced"], report["removed"]) == (1, 1, 0)


def test_a_damaged_index_of_arxiv_is_made_anew(
    run: Run, from_arxiv: Path, arxiv: Arxiv, tiny_llama: Path
) -> None:
    vectors = next(from_arxiv.glob("segment-*/vectors.npy"))
    content = bytearray(vectors.read_bytes())
    content[-5] ^= 1
    vectors.write_bytes(content)
    result = run("index", "astro", "--pause", 0)
    assert "cannot be used, it is made anew" in result.stderr
    assert_as_built_now(run, arxiv, tiny_llama)


UNFIT = (
    (("--arxiv", "--limit", "5"), "--limit has no effect"),
    (("--arxiv", "--sample", "5"), "--sample has no effect"),
    (("--arxiv", "--strict"), "--strict has no effect"),
    (("--arxiv", "--kind", "hnsw"), "--kind has no effect"),
    (("--arxiv", "--category", "gr-qc"), "is of other papers"),
    (("--arxiv", "--since", str(TODAY)), "has the papers since"),
    (("--corpus", "x.jsonl"), "astrosearch update astro --corpus FILE"),
    (("--arxiv", "--corpus", "x.jsonl"), "astrosearch update astro --corpus FILE"),
    (("--arxiv", "--layers", "1"), "was built with"),
)


def test_options_that_do_not_fit_an_index_of_arxiv_are_refused(run: Run, from_arxiv: Path) -> None:
    for arguments, line in UNFIT:
        assert line in run("index", "astro", *arguments, code=2).stderr, arguments


def test_an_index_of_files_without_a_category_or_of_a_part_does_not_take_arxiv(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    before = (built / "manifest.json").read_bytes()
    for category in ((), ("--category", "astro-ph")):
        line = run("index", "main", "--arxiv", *category, code=2).stderr.splitlines()[-1]
        assert "was built from files" in line
        assert "without --category, and arXiv is read by category; build it again" in line
    assert (built / "manifest.json").read_bytes() == before
    options = ("--encoder", tiny_llama, "--layers", 0, "--category", "astro-ph", "--limit", 9)
    run("index", "part", "--corpus", snapshot, *options)
    line = run("index", "part", "--arxiv", code=2).stderr.splitlines()[-1]
    assert "has a part of them ({'category': 'astro-ph', 'limit': 9})" in line
    assert "choose another name" in line


@pytest.fixture
def of_category(
    run: Run, arxiv: Arxiv, snapshot: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of an index `astro` of the astro-ph papers of a file."""
    from astrosearch import paths

    monkeypatch.setenv("ASTROSEARCH_OAI_URL", arxiv.base_url)
    options = ("--category", "astro-ph", "--encoder", tiny_llama, "--layers", 0)
    run("index", "astro", "--corpus", snapshot, *options)
    return paths.index_folder("astro")


def test_arxiv_becomes_a_source_of_an_index_of_files(
    run: Run, of_category: Path, arxiv: Arxiv, snapshot: Path
) -> None:
    old = titles(of_category)
    result = run("index", "astro", "--arxiv", "--pause", 0, "--since", TODAY - 150 * DAY)
    recent = {record.id for record in arxiv.records.values() if record.changed >= TODAY - 150 * DAY}
    assert f"{len(recent)} new, 0 replaced, 0 removed" in result.stderr
    both = titles(of_category)
    assert both.keys() == old.keys() | recent
    corpus = Manifest.read(of_category).corpus
    assert corpus.sources == (str(snapshot),)
    assert corpus.selection == {"category": "astro-ph"}
    assert corpus.arxiv is not None
    assert corpus.arxiv.is_complete
    # The same again goes on with it; nothing is new.
    assert "0 new" in run("index", "astro", "--arxiv", "--pause", 0).stderr
    append(snapshot, line_of(151, categories="astro-ph.GA"), line_of(152, categories="gr-qc"))
    arxiv.today += DAY
    arxiv.put(invented(900, arxiv.today))
    assert update(run)["added"] == 2
    everything = run("index", "astro", "--arxiv", "--pause", 0, "--since", TODAY - 320 * DAY)
    assert f"{100 - len(recent)} new" in everything.stderr
    assert Manifest.read(of_category).corpus.selection == {"category": "astro-ph"}
    assert old.keys() <= titles(of_category).keys()
    run("indexes", "verify", "astro")


def test_an_index_of_files_and_arxiv_that_is_damaged_gets_its_files_with_the_next_update(
    run: Run, of_category: Path
) -> None:
    run("index", "astro", "--arxiv", "--pause", 0, "--since", TODAY - 150 * DAY)
    whole = titles(of_category)
    vectors = next(of_category.glob("segment-*/vectors.npy"))
    content = bytearray(vectors.read_bytes())
    content[-5] ^= 1
    vectors.write_bytes(content)
    result = run("index", "astro", "--pause", 0)
    assert "it is made anew, its files come with the next update" in result.stderr
    update(run)
    assert titles(of_category) == whole


def test_arxiv_with_another_encoder_is_refused_for_an_index_of_files(
    run: Run, of_category: Path
) -> None:
    assert "was built with" in run("index", "astro", "--arxiv", "--layers", 1, code=2).stderr
    assert (
        "--kind has no effect" in run("index", "astro", "--arxiv", "--kind", "hnsw", code=2).stderr
    )


# Kills

KILLS = 40 if LONG else 5

KILLED = """
import os, sys
left = int(sys.argv.pop(1))
STEPS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"}

def count(event, arguments):
    global left
    if event in STEPS:
        left -= 1
        if not left:
            os._exit(9)

from astrosearch.cli import main
import astrosearch.encoders.loading, astrosearch.index.refresh
sys.addaudithook(count)
main()
"""
"""Runs the command line and kills it at a step, a use of a file; `left` is negative for never."""


def killed_at(step: int, *arguments: object) -> int:
    """The exit code of a command that is killed at a step."""
    command = [sys.executable, "-c", KILLED, str(step), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.mark.slow
def test_an_update_killed_at_any_step_goes_on_and_ends_alike(
    run: Run, built: Path, snapshot: Path, tiny_llama: Path
) -> None:
    draw, kills = random.Random(1), 0
    for number in range(150, 150 + 5 * KILLS, 5):
        append(
            snapshot,
            *map(line_of, range(number, number + 5)),
            changed_line(number - 140, f"Gas in stream {number} ."),
            withdrawn_line(number - 145),
        )
        kills += killed_at(int(draw.expovariate(1 / 120)) + 1, "update", "main") == 9
        assert len(titles(built)) >= 140
        run("update")
        run("indexes", "verify", "main")
    assert kills >= KILLS // 2
    run("index", "whole", "--corpus", snapshot, "--encoder", tiny_llama, "--layers", 0)
    assert_equal(run, "main", "whole")
    assert not [path for path in built.parent.iterdir() if path.name.endswith(".partial")]
    folders = {name.partition("/")[0] for name in Manifest.read(built).files}
    assert {path.name for path in built.iterdir() if path.is_dir()} == folders


@pytest.mark.slow
def test_three_days_of_arxiv_with_five_kills_end_as_an_index_built_in_one_go(
    run: Run, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 papers of three years, then three days of changes."""
    from astrosearch import paths

    service = Arxiv(today=TODAY - 4 * DAY)
    service.put(*(invented(number, service.today - number * DAY // 18) for number in range(20_000)))
    server = serve(service)
    monkeypatch.setenv("ASTROSEARCH_OAI_URL", service.base_url)
    since = service.today - 1_200 * DAY
    encoder = ("--encoder", tiny_llama, "--layers", 0)
    draw = random.Random(0)
    build = ("index", "astro", "--arxiv", "--since", since, "--pause", 0, *encoder)
    folder = paths.index_folder("astro")
    for _ in range(2):
        kill_while_asking(service, draw, 8, *build)
    kill_while_asking(service, draw, 8, *build, made=folder / "manifest.json")
    run("query", "stars", "--index", "astro")  # what has come can be searched
    subprocess.run(command_line(*build), check=True, capture_output=True)
    assert len(titles(folder)) == 20_000
    for day in range(3):
        service.today += DAY
        change_papers(service, draw, 40_000 + 1_000 * day)
        if day < 2:
            kill_while_asking(service, draw, 1, "update", "astro", "--pause", 0)
        report = update(run)
        assert report["papers"] == len(expected(service))
    assert titles(folder) == expected(service)
    run("indexes", "verify", "astro")

    harvest = tmp_path / "final.jsonl"
    run("corpus", "harvest", "--from", since, "--pause", 0, "--out", harvest)
    run("index", "whole", "--corpus", harvest, "--category", "astro-ph", *encoder)
    assert_equal(run, "astro", "whole")
    server.shutdown()
    server.server_close()


def expected(service: Arxiv) -> dict[str, str]:
    """Abstracts by id of the papers that an index of astro-ph has."""
    return {
        record.id: record.abstract
        for record in service.records.values()
        if record.is_in("physics:astro-ph") and not record.is_deleted and not record.comments
    }


def change_papers(service: Arxiv, draw: random.Random, number: int) -> None:
    """A day at arXiv: new, replaced, withdrawn, deleted and moved papers, and some that return."""
    ids = draw.sample(sorted(service.records), 120)
    for paper_id in ids[:60]:
        versions = service.records[paper_id].versions + 1
        service.change(paper_id, abstract=text_of(number + versions), versions=versions)
        number += 10
    for paper_id in ids[60:75]:
        service.change(paper_id, comments="This paper has been withdrawn by the authors.")
    for paper_id in ids[75:90]:
        service.change(paper_id, is_deleted=True)
    for paper_id in ids[90:105]:
        service.change(paper_id, categories="gr-qc")
    for paper_id in ids[105:]:
        service.change(paper_id, categories="astro-ph.SR astro-ph.GA")
    gone = [record.id for record in service.records.values() if record.is_deleted]
    for paper_id in gone[:3]:
        service.change(paper_id, is_deleted=False)
    service.put(*(invented(number + 50 + new, service.today) for new in range(50)))


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "astrosearch", *map(str, arguments)]


def kill_while_asking(
    service: Arxiv, draw: random.Random, most: int, *arguments: object, made: Path | None = None
) -> None:
    """Start a command and kill it some time after one of its first `most` requests, and not before
    the file `made` is there."""
    wanted = len(service.asked) + draw.randint(1, most)

    def has_come() -> bool:
        return len(service.asked) >= wanted and (made is None or made.exists())

    with subprocess.Popen(command_line(*arguments), stderr=subprocess.PIPE) as process:
        while process.poll() is None and not has_come():
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 1))
        process.send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_two_updates_at_once(run: Run, built: Path, snapshot: Path) -> None:
    append(snapshot, *map(line_of, range(150, 400)))
    processes = [
        subprocess.Popen(command_line("update", "main"), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[1] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert codes in ([0, 0], [0, 1])  # the second may have come when the first was done
    assert all(len(lines.splitlines()) <= 1 for lines in told), told
    assert len(titles(built)) == 400
