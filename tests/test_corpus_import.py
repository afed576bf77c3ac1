"""`astrosearch corpus import`: large files to one small file of own records."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from astrosearch.corpus.records import record_from_paper
from astrosearch.papers import Paper
from tests.conftest import Run, kaggle_line


def own(abstract: str, updated: date, version: int | None = None) -> dict[str, object]:
    paper = Paper(
        "2401.00001",
        "On lamps",
        abstract,
        ("A. Doe",),
        ("astro-ph.GA",),
        published=date(2024, 1, 5),
        updated=updated,
        version=version,
    )
    return record_from_paper(paper)


def write(file: Path, *records: dict[str, object]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def read(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_selected_papers_are_written_as_own_records(run: Run, tmp_path: Path) -> None:
    snapshot, out = tmp_path / "snapshot.json.gz", tmp_path / "small.jsonl"
    lines = [
        kaggle_line(0, doi="10.1000/182"),
        kaggle_line(1, categories="gr-qc astro-ph.CO"),
        kaggle_line(2, categories="hep-th"),
        kaggle_line(3, versions=[{"version": "v1", "created": "Mon, 02 May 2016 00:00:00 GMT"}]),
        kaggle_line(6, abstract=""),
        "{",
    ]
    snapshot.write_bytes(gzip.compress("\n".join(lines).encode()))
    selection = "--category astro-ph --primary-only --since 2016-05-03"
    result = run("corpus", "import", snapshot, "--out", out, *selection.split())
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "6 lines read, 3 not selected, 2 refused (1 no abstract, 1 broken JSON); "
        f"listed in {out}.rejected.jsonl",
        f"1 paper; index them: astrosearch index astro --corpus {out}",
    ]
    assert read(out) == [
        {
            "id": "1001.0000",
            "title": "On the field of wind number 0",
            "abstract": "the in gas field planet wind pulsar lens we find 0 .",
            "authors": ["A. B0son", "Carla M\\'endez", "D. Wu"],
            "categories": ["astro-ph.GA"],
            "published": "2016-05-06",
            "updated": "2016-05-07",
            "doi": "10.1000/182",
            "version": 1,
        }
    ]
    rejected = read(tmp_path / "small.jsonl.rejected.jsonl")
    assert [(one["file"], one["line"], one["reason"]) for one in rejected] == [
        (str(snapshot), 5, "no abstract"),
        (str(snapshot), 6, "broken JSON"),
    ]
    assert {file.name for file in tmp_path.iterdir()} == {
        "snapshot.json.gz",
        "small.jsonl",
        "small.jsonl.rejected.jsonl",
    }


def test_what_was_harvested_replaces_the_older_records_of_a_file(run: Run, tmp_path: Path) -> None:
    first, second = own("First.", date(2024, 1, 6), 1), own("Second.", date(2024, 3, 8), 2)
    third = own("Third.", date(2024, 5, 9), 2)
    papers = write(tmp_path / "papers.jsonl", first)
    harvest = write(tmp_path / "harvest.jsonl", second, third)
    result = run("corpus", "import", papers, harvest, "--out", papers, "--force")
    assert read(papers) == [third]
    assert result.stderr.splitlines() == [
        f"3 lines read, 2 refused (2 duplicate id); listed in {papers}.rejected.jsonl",
        f"1 paper; index them: astrosearch index astro --corpus {papers}",
    ]
    run("corpus", "import", papers, "--out", papers, "--force")
    assert read(papers) == [third]
    assert not (tmp_path / "papers.jsonl.rejected.jsonl").exists()


def test_a_sample_is_chosen_by_the_seed(run: Run, snapshot: Path, tmp_path: Path) -> None:
    def sample(name: str, *options: object) -> set[object]:
        run("corpus", "import", snapshot, "--out", tmp_path / name, "--sample", 20, *options)
        return {record["id"] for record in read(tmp_path / name)}

    chosen = sample("one.jsonl")
    assert len(chosen) == 20
    assert sample("two.jsonl") == chosen
    assert sample("three.jsonl", "--seed", 1) != chosen
    command = ("corpus", "import", snapshot, "--out", tmp_path / "four.jsonl")
    assert "--seed needs --sample" in run(*command, "--seed", 1, code=2).stderr
    assert "--primary-only needs --category" in run(*command, "--primary-only", code=2).stderr
    run(*command, "--limit", 3)
    assert [record["id"] for record in read(tmp_path / "four.jsonl")] == [
        "1001.0000",
        "1102.0001",
        "1203.0002",
    ]


def test_a_failed_import_leaves_what_was_there(run: Run, snapshot: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "small.jsonl"
    out.parent.mkdir()
    out.write_text("mine\n")
    broken = tmp_path / "broken.jsonl"
    broken.write_text(kaggle_line(0) + "\n{\n")
    nothing = write(tmp_path / "nothing.jsonl", {"id": 1})
    for options, code, told in (
        ([snapshot], 2, f"{out} exists; give another --out, or --force to replace it"),
        ([broken, "--force", "--strict"], 2, f"{broken}:2: broken JSON: "),
        ([tmp_path / "no.json", "--force"], 2, "no.json cannot be read: No such file"),
        ([nothing, "--force"], 2, "no line is a paper: 1 lines read, 1 refused"),
        ([snapshot, "--force", "--category", "cs"], 4, "no paper is selected: 150 lines read"),
    ):
        result = run("corpus", "import", "--out", out, *options, code=code)
        assert told in result.stderr
        assert out.read_text() == "mine\n"
        assert list(out.parent.iterdir()) == [out]


def test_what_a_killed_import_left_is_gone_after_the_next(
    run: Run, snapshot: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "small.jsonl"
    left = out.with_name(".small.jsonl.partial")
    left.mkdir(parents=True)
    (left / "sqlite").write_bytes(b"half a table")
    with FileLock(left / "lock"):  # another one is at it
        assert "another process" in run("corpus", "import", snapshot, "--out", out, code=1).stderr
    run("corpus", "import", snapshot, "--out", out)
    assert list(out.parent.iterdir()) == [out]


def test_a_later_withdrawal_takes_the_earlier_paper_out_of_any_file(
    run: Run, tmp_path: Path
) -> None:
    def line(n: int, version: int, **fields: object) -> str:
        day = f"Mon, 02 May 20{10 + version} 00:00:00 GMT"
        versions = [{"version": f"v{version}", "created": day}]
        return kaggle_line(n, versions=versions, update_date=f"20{10 + version}-05-02", **fields)

    gone = {"comments": "This paper has been withdrawn"}
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(
        "\n".join([line(0, 1), line(1, 1), line(2, 3), line(3, 2, **gone), line(4, 1)])
    )
    second.write_text("\n".join([line(1, 2, **gone), line(2, 2, **gone), line(3, 1), line(5, 1)]))
    out = tmp_path / "out.jsonl"
    said = run("corpus", "import", first, second, "--out", out).stderr
    assert "4 papers and 2 marks of what was withdrawn; index them" in said
    assert ids(out) == ["0000", "0002", "0004", "0005", "0003 withdrawn", "0001 withdrawn"]
    # A file made from that one, and an older one that comes later, do not bring them back.
    again = tmp_path / "again.jsonl"
    run("corpus", "import", out, "--out", again)
    assert sorted(ids(again)) == sorted(ids(out))
    run("corpus", "import", again, first, "--out", out, "--force")
    assert sorted(ids(out)) == sorted(ids(again))
    # A later version does, and takes the mark away.
    third = tmp_path / "third.jsonl"
    third.write_text(line(1, 3))
    run("corpus", "import", again, third, "--out", out, "--force")
    assert sorted(ids(out)) == ["0000", "0001", "0002", "0003 withdrawn", "0004", "0005"]


def ids(file: Path) -> list[str]:
    """The last four digits of each record's id, and what was withdrawn."""
    return [
        str(record["id"])[-4:] + (" withdrawn" if record.get("withdrawn") else "")
        for record in read(file)
    ]


def test_marks_of_what_was_withdrawn_are_selected_like_papers(run: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "file.jsonl", tmp_path / "out.jsonl"
    gone = [
        kaggle_line(n, comments="Withdrawn", categories=("hep-th", "gr-qc")[n % 2])
        for n in range(40)
    ]
    file.write_text("\n".join([*gone, *(kaggle_line(n) for n in range(40, 80))]))
    run("corpus", "import", file, "--out", out, "--category", "gr-qc")
    marks = [record for record in read(out) if record.get("withdrawn")]
    assert len(marks) == 20
    assert {str(record["categories"]) for record in marks} == {"['gr-qc']"}
    run("corpus", "import", file, "--out", out, "--force", "--sample", 5)
    # About one in eight of the papers is drawn, and so is about one in eight of the marks.
    assert sum(not record.get("withdrawn") for record in read(out)) == 5
    assert 0 < sum(bool(record.get("withdrawn")) for record in read(out)) < 20


@pytest.mark.parametrize(
    ("paper", "mark", "stays"),
    [
        ({"version": 2, "updated": "2024-05-01"}, {"updated": "2024-05-02"}, False),
        ({"version": 2, "updated": "2024-05-01"}, {"updated": "2024-04-02"}, True),
        ({"version": 2}, {}, False),
        ({}, {"version": 2}, False),
        ({"version": 2}, {"version": 3}, False),
        ({"version": 3}, {"version": 2}, True),
    ],
)
def test_a_withdrawal_without_a_version_or_a_day_ends_the_paper_too(
    run: Run, tmp_path: Path, paper: dict[str, object], mark: dict[str, object], stays: bool
) -> None:
    least: dict[str, object] = {"id": "2401.00001", "title": "T", "abstract": "A."}
    other = {**least, "id": "2401.00002"}
    file = write(
        tmp_path / "file.jsonl", {**least, **paper}, {**least, **mark, "withdrawn": True}, other
    )
    run("corpus", "import", file, "--out", tmp_path / "out.jsonl")
    assert (ids(tmp_path / "out.jsonl")[0] == "0001") is stays
