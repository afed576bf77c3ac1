"""What a user sees: answers, formats, exit codes, and one line for every mistake."""

import csv
import errno
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

from astrosearch.cli import errors
from astrosearch.cli.console import OutputLost
from astrosearch.errors import AstrosearchError, IndexDamaged, IndexMissing, InputError, Remedy
from tests.conftest import Run, kaggle_line, segment_folder
from tests.events import signalled_at_shard

FIRST = "1001.0000"  # the paper of kaggle_line(0)


@pytest.mark.usefixtures("built")
class TestAnswers:
    def test_a_query_down_a_pipe_is_tab_separated_lines(self, run: Run) -> None:
        lines = run("query", "gas", "in", "a", "stream", "-k", 3).stdout.splitlines()
        assert [line.split("\t")[0] for line in lines] == ["1", "2", "3"]
        _, match, paper_id, year, author, title, categories = lines[0].split("\t")
        assert 0 <= int(match) <= 100
        record = json.loads(run("query", "gas in a stream", "--format", "jsonl", "-k", 1).stdout)
        assert record["match"] == int(match)
        assert paper_id.count(".") == 1
        assert year == "2016"
        assert author.endswith("son et al.")
        assert title.startswith("On the ")
        assert categories

    def test_every_format_holds_the_same_papers(self, run: Run) -> None:
        def ask(form: str) -> str:
            return run("query", "gas", "--format", form, "-k", 4).stdout

        ids = ask("ids").split()
        assert len(ids) == 4
        document = json.loads(ask("json"))
        assert document["query"] == "gas"
        assert document["index"] == "main"
        assert [hit["id"] for hit in document["hits"]] == ids
        assert [hit["rank"] for hit in document["hits"]] == [1, 2, 3, 4]
        assert [json.loads(line)["id"] for line in ask("jsonl").splitlines()] == ids
        assert [row["id"] for row in csv.DictReader(io.StringIO(ask("csv")))] == ids
        assert ask("bibtex").count("@misc{") == 4
        assert all(f"eprint = {{{one}}}" in ask("bibtex") for one in ids)
        assert [line.split("\t")[2] for line in ask("table").splitlines()] == ids

    @pytest.mark.parametrize("option", ["--abstracts", "--explain"])
    @pytest.mark.parametrize("form", ["ids", "bibtex"])
    def test_an_option_that_a_format_has_no_place_for_is_said_to_have_no_effect(
        self, run: Run, form: str, option: str
    ) -> None:
        result = run("query", "gas", "--format", form, option)
        assert f"{option} has no effect with --format {form}" in result.stderr
        assert result.stdout == run("query", "gas", "--format", form).stdout
        assert "no effect" not in run("query", "gas", "--format", "json", option).stderr

    @pytest.mark.parametrize(
        "words", [("query", "gas", "-k", 3), ("similar", FIRST), ("show", FIRST)]
    )
    def test_bibtex_entries_are_called_by_bibcodes_or_by_author_and_year(
        self, run: Run, words: tuple[object, ...]
    ) -> None:
        def keys(*options: object) -> list[str]:
            text = run(*words, "--format", "bibtex", *options).stdout
            return re.findall(r"^@misc\{(.*),$", text, re.MULTILINE)

        assert keys() == keys("--key", "bibcode")
        assert all(re.fullmatch(r"20\d\darXiv\d{4}\.?\d{4,5}[A-Z]", key) for key in keys())
        assert all(re.fullmatch(r"Bson20\d\d[a-z]?", key) for key in keys("--key", "author-year"))
        assert len(set(keys("--key", "author-year"))) == len(keys())
        assert "'doi' is not one of" in run(*words, "--key", "doi", code=2).stderr
        assert "--key has no effect with --format table" in run(*words, "--key", "bibcode").stderr

    def test_the_shell_writes_the_keys_that_it_is_told_to(self, run: Run) -> None:
        lines = "gas\n/key author-year\ngas\n/key\ngas\n/key doi\n"
        result = run("shell", "--format", "bibtex", "-k", 1, stdin=lines, code=2)
        first, second, third = re.findall(r"@misc\{(\w+),|@misc\{([\w.]+),", result.stdout)
        assert first == third != second
        assert "/key doi: write bibcode or author-year" in result.stderr

    def test_a_batch_has_no_keys(self, run: Run) -> None:
        said = run("query", "--batch", "-", "--key", "bibcode", stdin="gas\n", code=2).stderr
        assert "leave --format, --sort, --abstracts, --explain, --key, --open" in said

    def test_the_query_may_come_from_standard_input(self, run: Run) -> None:
        piped = run("query", "-", "--format", "ids", stdin="gas in\n a stream\n")
        assert piped.stdout == run("query", "gas in a stream", "--format", "ids").stdout
        run("query", "-", stdin=" \n", code=2)
        run("query", "  ", code=2)
        run("query", code=2)

    def test_a_batch_answers_line_by_line_as_single_queries_do(
        self, run: Run, tmp_path: Path
    ) -> None:
        questions = tmp_path / "questions.txt"
        questions.write_text("gas in a stream\nblack hole\n\ndust")
        answers = [
            json.loads(line)
            for line in run("query", "--batch", questions, "-k", 3).stdout.splitlines()
        ]
        assert [one["query"] for one in answers] == ["gas in a stream", "black hole", "", "dust"]
        assert [len(one["hits"]) for one in answers] == [3, 3, 0, 3]
        single = json.loads(run("query", "black hole", "-k", 3, "--format", "json").stdout)
        assert answers[1]["hits"] == single["hits"]
        piped = run("query", "--batch", "-", "-k", 3, stdin="dust\n").stdout
        assert json.loads(piped) == answers[3]
        run("query", "gas", "--batch", questions, code=2)

        questions.write_text("gas\n\nyear:soon dust\nauthor:nobody\n2301.12345\ndust\n")
        lines = run("query", "--batch", questions, "-k", 1).stdout.splitlines()
        records = [json.loads(line) for line in lines]
        assert [len(record["hits"]) for record in records] == [1, 0, 0, 0, 0, 1]
        assert "year:soon is not a year" in records[2]["error"]
        assert "arXiv identifier" in records[4]["error"]
        assert [number for number, record in enumerate(records) if "error" in record] == [2, 3, 4]

    def test_filters_leave_k_answers_whenever_there_are_k(self, run: Run) -> None:
        def ask(*filters: object) -> list[dict[str, object]]:
            found = run("query", "gas", "-k", 60, "--format", "json", *filters)
            hits: list[dict[str, object]] = json.loads(found.stdout)["hits"]
            return hits

        assert len(ask("--category", "astro-ph.HE")) == 50
        assert len(ask("--since", "2016-05-06", "--until", "2016-05")) == 60
        assert [hit["authors"] for hit in ask("--author", "B77son")] == [
            ["A. B77son", "Carla M\\'endez", "D. Wu"]
        ]
        nothing = run("query", "gas", "--since", "2020", code=4)
        assert "none of the 150 papers" in nothing.stderr
        assert "since 2020-01-01" in nothing.stderr
        assert nothing.stdout == ""

    def test_similar_takes_ids_in_any_form_and_leaves_them_out(self, run: Run) -> None:
        urls = [f"https://arxiv.org/abs/{FIRST}v2", "arXiv:1102.0001"]
        ids = run("similar", *urls, "-k", 200, "--format", "ids").stdout.split()
        assert len(ids) == 148
        assert not {FIRST, "1102.0001"} & set(ids)
        assert "not in this index" in run("similar", "2309.06126", code=4).stderr
        assert "not an arXiv identifier" in run("similar", "Andromeda", code=2).stderr

    def test_show_prints_one_paper(self, run: Run) -> None:
        shown = run("show", f"arXiv:{FIRST}").stdout
        assert FIRST in shown
        assert "Carla Méndez" in shown
        record = json.loads(run("show", FIRST, "--format", "json").stdout)
        assert record["authors"] == ["A. B0son", "Carla M\\'endez", "D. Wu"]
        assert run("show", FIRST, "--format", "bibtex").stdout.startswith("@misc{")
        assert "2309.06126 is not in this index" in run("show", "2309.06126", code=4).stderr
        both = json.loads(run("show", FIRST, "1102.0001", FIRST, "--format", "json").stdout)
        assert [record["id"] for record in both] == [FIRST, "1102.0001"]

    def test_indexes_are_listed_described_verified_and_removed(self, run: Run, built: Path) -> None:
        assert "main\t150\t" in run("indexes").stdout
        assert json.loads(run("indexes", "--format", "json").stdout)[0]["name"] == "main"
        facts = dict(
            line.split(": ", 1) for line in run("indexes", "info", "main").stdout.splitlines()
        )
        assert facts["papers"] == "150"
        assert facts["lines"] == "150 read, 0 not selected, 0 refused"
        assert not re.search("[0-9a-f]{32}", "".join(facts.values()))
        manifest = json.loads(run("indexes", "info", "--index", "main", "--format", "json").stdout)
        assert manifest["count"] == 150
        assert "150 papers, 12 files, sound" in run("indexes", "verify", "main").stdout
        file = segment_folder(built) / "vectors.npy"
        vectors = bytearray(file.read_bytes())
        vectors[-1] ^= 1
        file.write_bytes(vectors)
        assert "vectors.npy changed since" in run("indexes", "verify", "main", code=1).stderr
        run("indexes", "remove", "main", "--yes")
        assert not built.exists()
        run("indexes", "remove", "main", "--yes", code=3)
        assert "build one: astrosearch index" in run("query", "gas", code=3).stderr

    def test_an_index_is_brought_up_to_date_without_naming_its_corpus(
        self, run: Run, snapshot: Path
    ) -> None:
        assert "up to date: 150 papers" in run("index", "main").stderr
        snapshot.write_text(snapshot.read_text() + kaggle_line(900) + "\n")
        report = run("index", "main").stderr
        assert "151 papers, 1 encoded, 150 vectors reused" in report

    def test_the_encoder_stays_that_of_the_index_until_another_is_named(
        self, run: Run, tiny_llama: Path
    ) -> None:
        before = run("query", "gas").stdout
        report = run("index", "main", "--encoder", tiny_llama, "--layers", 1).stderr
        assert "The encoder changes from" in report
        assert run("query", "gas").stdout != before
        assert "up to date" in run("index", "main").stderr

    def test_doctor_says_what_is_there_and_what_is_missing(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
        result = run("doctor", code=3)
        assert "index main\tok\t150 papers" in result.stdout
        line = re.search(
            r"^(model \S+)\tmissing\tastrosearch models fetch \S+$", result.stdout, re.M
        )
        assert line
        assert f"1 missing: {line[1]}" in result.stderr
        report = json.loads(run("doctor", "--format", "json", code=3).stdout)
        assert {"astrosearch", "python", "platform", "faiss-cpu", "tantivy", "torch"} <= set(
            report["versions"]
        )
        found = {finding["what"]: finding for finding in report["findings"]}
        assert found["index main"] == {"what": "index main", "ok": True, "found": "150 papers"}
        assert not found[line[1]]["ok"]


def test_the_index_asked_is_the_one_named_else_the_one_built_last(
    run: Run, snapshot: Path, tiny_llama: Path, home: Path
) -> None:
    for name, limit in (("small", 10), ("large", 20)):
        run("index", name, "--corpus", snapshot, "--encoder", tiny_llama, "--limit", limit)
    os.utime(home / "indexes/small/manifest.json", (1, 1))
    count = {
        name: ("query", "gas", "-k", 99, "--format", "ids", *name) for name in [(), ("-i", "small")]
    }
    assert len(run(*count[()]).stdout.split()) == 20
    assert len(run(*count["-i", "small"]).stdout.split()) == 10
    assert "there are: large, small" in run("query", "gas", "--index", "other", code=3).stderr
    assert "cannot name an index" in run("query", "gas", "--index", "../x", code=2).stderr


def test_mistakes_are_one_line_and_a_documented_exit_code(
    run: Run, tmp_path: Path, tiny_llama: Path, snapshot: Path
) -> None:
    html = tmp_path / "page.json"
    html.write_text("<html>")
    with_encoder = ("--encoder", tiny_llama)
    for arguments, code, fact in (
        (("query", "gas"), 3, "build one: astrosearch index"),
        (("index", "x"), 2, "--corpus"),
        (("index", "x", "--corpus", html, *with_encoder), 2, "is HTML or XML"),
        (("index", "x", "--corpus", tmp_path, *with_encoder), 2, "is a directory"),
        (("index", "x", "--corpus", tmp_path / "no", *with_encoder), 2, "No such file"),
        (("index", "x", "--corpus", snapshot, "--encoder", "nope"), 2, "astrosearch models"),
        (("index", "x", "--corpus", snapshot, "--encoder", tmp_path), 2, "no config.json"),
        (("index", "x", "--corpus", snapshot, *with_encoder, "--layers", 9), 2, "has 4 layers"),
        (("index", "x", "--corpus", snapshot, *with_encoder, "--since", "May"), 2, "is not a date"),
        (("index", "x", "--corpus", snapshot, "--encoder", "a/b"), 3, "hf download a/b"),
        (("models", "fetch", "nope"), 2, "astrosearch models"),
        (("query", "--batch", tmp_path / "no"), 2, "does not exist"),
        (("query", "--batch", html, "--format", "csv"), 2, "leave --format"),
        (("index", "x", "--corpus", snapshot, "--limit", 1, "--sample", 1), 2, "give one"),
    ):
        result = run(*arguments, code=code)
        last = result.stderr.strip().splitlines()[-1]
        assert fact in last, result.stderr
        assert "Traceback" not in result.output
        assert result.stdout == ""
    assert not (tmp_path / "home/indexes/x").exists()


def test_an_index_whose_files_are_damaged_is_built_again_from_what_it_remembers(
    run: Run, built: Path
) -> None:
    (segment_folder(built) / "vectors.npy").unlink()
    assert "again: astrosearch index main" in run("query", "gas", code=1).stderr
    assert "all texts are encoded again" in run("index", "main").stderr
    run("query", "gas")


def test_refused_lines_are_shown_with_their_numbers(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    source = tmp_path / "some.json"
    bad = ["{broken", kaggle_line(2, id=1.5), kaggle_line(1), *["{"] * 4]
    source.write_text("\n".join([kaggle_line(1), *bad, kaggle_line(3)]))
    arguments = ("index", "x", "--corpus", source, "--encoder", tiny_llama)
    report = run(*arguments).stderr
    assert "9 lines read, 7 refused (5 broken JSON, " in report
    assert f"{source}:2: broken JSON" in report
    assert f"{source}:3: id not a string" in report
    assert f"{source}:4: duplicate id" in report
    assert "rejected.jsonl" in report
    assert f"{source}:2: broken JSON" in run(*arguments, "--strict", code=2).stderr


def test_ctrl_c_says_how_to_go_on(home: Path, tmp_path: Path, tiny_llama: Path) -> None:
    source = tmp_path / "many.json"
    source.write_text("\n".join(kaggle_line(n) for n in range(5000)))
    arguments = ("index", "many", "--corpus", source, "--encoder", tiny_llama)
    command = signalled_at_shard(2, signal.SIGINT, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert f"give the same command again: astrosearch index many --corpus {source}" in done.stderr
    assert list((home / "indexes/.many.partial/shards").glob("*/*.npz"))


def test_an_answer_cut_short_by_its_reader_is_no_error(built: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "astrosearch", "query", "gas", "-k", "150", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert "Exception" not in said


class TestFirstWords:
    def test_without_an_index_they_name_the_command_that_builds_one(self, run: Run) -> None:
        assert "astrosearch index\n" in run().stdout

    def test_with_an_index_they_name_it_and_what_can_be_asked(self, run: Run, built: Path) -> None:
        said = run().stdout
        assert said.startswith("Index: main\n")
        assert said.count("\n  astrosearch ") == 4

    def test_help_is_a_command_and_version_another(self, run: Run) -> None:
        assert run("help", "query").stdout == run("query", "--help").stdout
        assert run("help", "indexes", "tune").stdout == run("indexes", "tune", "-h").stdout
        assert run("help").stdout == run("--help").stdout
        assert run("version").stdout == run("--version").stdout
        run("help", "nothing", code=2)

    def test_the_main_help_has_every_command_once_under_a_purpose(self, run: Run) -> None:
        from astrosearch.cli import main

        lines = run("--help").stdout.split("Find papers:")[1].splitlines()
        names = [line.split()[0] for line in lines if line.startswith("  ")]
        context = click.Context(main)
        commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
        shown = [name for name, command in commands.items() if command and not command.hidden]
        assert sorted(names) == sorted(shown)

    def test_every_help_has_an_example(self, run: Run) -> None:
        for context in commands_of(()):
            said = run(*context, "--help").stdout
            assert f"\n  astrosearch {' '.join(context)}" in said, context

    def test_every_help_keeps_within_80_columns_and_breaks_no_word(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        for context in [(), ("train",), *commands_of(()), *commands_of(("train",))]:
            said = run(*context, "--help").stdout
            assert [line for line in said.splitlines() if len(line) > 80] == [], context
            assert not re.search(r"\w-\n", said), context
            assert "...\n" not in said.partition("Options:")[2], context


def commands_of(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The words of every command, in all its groups."""
    from astrosearch.cli import main

    group: click.Command | None = main
    for name in path:
        assert isinstance(group, click.Group)
        group = group.get_command(click.Context(group), name)
    if isinstance(group, click.Group):
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            if command and not command.hidden and name != "train":  # of another package
                yield (*path, name)
                yield from commands_of((*path, name))


class TestSlips:
    @pytest.mark.parametrize(
        ("word", "meant"),
        [("serach", "query"), ("qurey", "query"), ("open", "show"), ("idnex", "index")],
    )
    def test_a_mistyped_command_gets_the_one_that_was_meant(
        self, run: Run, word: str, meant: str
    ) -> None:
        said = run(word, "x", code=2).stderr
        assert f"There is no command {word!r}. Did you mean {meant!r}?" in said

    def test_a_question_without_a_command_is_told_how_it_is_asked(self, run: Run) -> None:
        said = run("magellanic stream", code=2).stderr
        assert "To search for it: astrosearch query 'magellanic stream'" in said

    @pytest.mark.parametrize(
        ("option", "meant"),
        [
            ("--formt", "--format"),
            ("--csv", "--format csv"),
            ("--jsonl", "--format jsonl"),
            ("-n", "--count"),
            ("--untill", "--until"),
        ],
    )
    def test_a_mistyped_option_gets_the_one_that_was_meant(
        self, run: Run, option: str, meant: str
    ) -> None:
        said = run("query", "gas", option, "5", code=2).stderr
        assert f"There is no option {option!r}. Did you mean {meant!r}?" in said

    @pytest.mark.parametrize(
        ("line", "word", "quoted"),
        [
            (("dark", "matter", "-axion"), "-axion", "dark matter -axion"),
            (("dark matter", "-axion", "--mode", "dense"), "-axion", "dark matter -axion"),
            (("gas", "-author:putman", "-halo"), "-author:putman", "gas -author:putman -halo"),
            (("-k", 5, "gas", "-axion"), "-axion", "dark matter -axion"),
        ],
    )
    def test_an_excluded_word_is_said_to_need_quotation_marks(
        self, run: Run, line: tuple[object, ...], word: str, quoted: str
    ) -> None:
        assert run("query", *line, code=2).stderr == (
            f"astrosearch: a query with {word} has to be in quotation marks: "
            f'astrosearch query "{quoted}"\n'
        )

    def test_an_option_that_nothing_resembles_gets_no_suggestion(self, run: Run) -> None:
        said = run("query", "gas", "--zzz", code=2).stderr
        assert said == (
            "astrosearch: There is no option '--zzz'; for help: astrosearch query --help\n"
        )

    @pytest.mark.parametrize(
        ("line", "fact"),
        [
            ("query", "give a TEXT"),
            ("query gas --format jsonn", "'jsonn' is not one of 'table', 'json'"),
            ("query gas -k 0", "0 is not in the range"),
            ("show", "Missing argument 'ID...'"),
            ("completion", "Choose from: bash, zsh, fish"),
            ("indexes nothing", "No such command 'nothing'"),
            ("--json", "Options stand after the command, as in: astrosearch query TEXT"),
            ("-i main", "Options stand after the command"),
            ("serach gas", "Did you mean 'query'?"),
        ],
    )
    def test_wrong_usage_is_one_line_with_the_next_step(
        self, run: Run, line: str, fact: str
    ) -> None:
        (said,) = run(*line.split(), code=2).stderr.splitlines()
        assert said.startswith("astrosearch: ")
        assert fact in said
        assert said.endswith((" --help", "?", "-k 5"))

    def test_two_texts_in_the_place_of_identifiers_are_told_their_option(self, run: Run) -> None:
        said = run("compare", "gas in a stream", "dust", code=2).stderr
        assert "'gas in a stream' is not an arXiv identifier; to compare two texts: --text" in said

    def test_debug_behind_the_command_is_told_where_it_stands(self, run: Run) -> None:
        said = run("query", "gas", "--debug", code=2).stderr
        assert "It stands before the command: astrosearch --debug query" in said

    @pytest.mark.usefixtures("built")
    def test_search_is_another_name_of_query(self, run: Run) -> None:
        assert run("search", "gas").stdout == run("query", "gas").stdout
        assert "search" not in [
            line.split()[0] for line in run("--help").stdout.split("\n") if line
        ]

    @pytest.mark.usefixtures("built")
    def test_old_spellings_work_and_name_the_new_one(self, run: Run) -> None:
        new = run("query", "gas", "--format", "json")
        old = run("query", "gas", "--json")
        assert (old.stdout, old.stderr) == (new.stdout, "--json is now --format json\n")
        listed = run("indexes", "--json")
        assert json.loads(listed.stdout) == json.loads(run("indexes", "--format", "json").stdout)
        assert "--json" not in run("query", "--help").stdout

    @pytest.mark.parametrize(
        ("line", "new", "param", "value"),
        [
            ("complete x --strict", "--only-known-numbers", "old_strict", True),
            ("complete x --versus base", "--against", "old_versus", ("base",)),
            ("eval main --json", "--format json", "output", "json"),
            ("show 1001.0000 --json", "--format json", "output", "json"),
            ("indexes list --json", "--format json", "output", "json"),
            ("models list --json", "--format json", "output", "json"),
            ("compare --format text --sample 9", "--format table", "output", "table"),
            (
                "train contrast . --out x --spelling kept",
                "--normalization",
                "normalization",
                "none",
            ),
            (
                "train contrast . --out x --spelling plain",
                "--normalization",
                "normalization",
                "plain",
            ),
        ],
    )
    def test_every_option_of_before_is_read_as_the_one_in_its_place(
        self, capsys: pytest.CaptureFixture[str], line: str, new: str, param: str, value: object
    ) -> None:
        from astrosearch.cli import main
        from training.cli import train

        root = click.Group("astrosearch", commands={**main.commands, "train": train})
        context, rest, command = click.Context(root), line.split(), root
        while isinstance(command, click.Group):
            name, *rest = rest
            command = command.get_command(context, name)  # type: ignore[assignment]
            context = command.make_context(name, rest, parent=context)
            rest = rest if isinstance(command, click.Group) else []
        assert context.params[param] == value
        (said,) = capsys.readouterr().err.splitlines()
        assert f" is now {new}" in said

    @pytest.mark.usefixtures("built")
    def test_an_index_is_named_by_its_place_or_by_its_option_but_not_by_both(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = run("indexes", "verify", "main").stdout
        assert run("indexes", "verify", "-i", "main").stdout == said
        assert "name one" in run("indexes", "verify", "main", "-i", "other", code=2).stderr
        monkeypatch.setenv("ASTROSEARCH_INDEX", "other")
        assert run("indexes", "verify", "main").stdout == said
        assert "no index 'other'" in run("indexes", "verify", code=3).stderr
        assert "Missing argument" in run("indexes", "remove", "--yes", code=2).stderr


class TestEndings:
    def test_debug_shows_the_traceback_of_an_error_and_keeps_its_exit_code(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = run("--debug", "query", "gas", code=3).stderr
        assert said.startswith("Traceback")
        assert said.splitlines()[-1].startswith("astrosearch: there is no index")
        assert "Traceback" not in run("query", "gas", code=3).stderr
        monkeypatch.setenv("ASTROSEARCH_DEBUG", "1")
        assert "Traceback" in run("query", "gas", code=3).stderr

    def test_a_bug_in_sql_is_not_called_a_damaged_index(self) -> None:
        with sqlite3.connect(":memory:") as database, pytest.raises(sqlite3.Error) as error:
            database.execute("SELECT nothing FROM nowhere")
        assert errors.ending(error.value) is None

    def test_ctrl_c_at_a_question_is_a_stop(self) -> None:
        assert errors.ending(click.Abort()) == ("stopped.", 130, False)

    @pytest.mark.parametrize(
        "command",
        [
            ("query", "gas", "--index", ""),
            ("index", "", "--corpus", "papers.json"),
            ("indexes", "info", ""),
            ("indexes", "info", "--index", ""),
            ("indexes", "remove", "", "--yes"),
        ],
    )
    def test_an_empty_name_is_not_the_index_built_last(
        self, run: Run, frozen: Path, command: tuple[str, ...]
    ) -> None:
        """An unset variable of a shell gives one."""
        assert "the name of an index is empty" in run(*command, code=2).stderr
        assert frozen.exists()

    def test_an_index_is_removed_only_with_consent(self, run: Run, frozen: Path) -> None:
        nobody = run("indexes", "remove", "main", stdin="", code=2).stderr
        assert "main is not deleted without consent; to agree, add --yes" in nobody
        assert "Nothing was deleted" in run("indexes", "remove", "main", stdin="n\n", code=1).stderr
        assert frozen.exists()
        run("indexes", "remove", "main", stdin="y\n")
        assert not frozen.exists()

    def test_every_remedy_has_its_words(self) -> None:
        assert set(errors.REMEDIES) == set(get_args(Remedy)) - {""}

    def test_a_remedy_names_the_index(self, run: Run, built: Path) -> None:
        error = IndexDamaged("vectors.npy is missing", remedy="build-again")
        line = "vectors.npy is missing; build it again: astrosearch index "
        assert errors.with_remedy(error, "held") == f"{line}held"
        assert errors.with_remedy(error) == f"{line}main"
        assert errors.with_remedy(AstrosearchError("no")) == "no"
        unbuilt = IndexMissing("there is none", remedy="build")
        assert errors.with_remedy(unbuilt).endswith("; build one: astrosearch index")

    def test_a_full_disk_is_told_by_the_file_that_is_full(self) -> None:
        full = (errno.ENOSPC, "No space left on device")
        assert errors.ending(OSError(*full, "/data/words")) == (
            "/data/words cannot be used: No space left on device",
            1,
            False,
        )
        assert errors.ending(OutputLost(*full)) == (
            "the answer cannot be written: No space left on device",
            1,
            True,
        )
        assert errors.ending(ConnectionResetError(errno.ECONNRESET, "reset")) is None

    def test_an_error_that_quotes_pages_is_shortened_in_the_middle(self) -> None:
        error = InputError("no " + "such thing " * 9_000 + "here", remedy="list-models")
        line = errors.with_remedy(error)
        assert line.startswith("no such thing")
        assert line.endswith("thing here; the known ones: astrosearch models")
        assert len(line) < 1_100

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            ImportError("x.so: cannot allocate memory in static TLS block"),
        ],
    )
    def test_too_little_memory_is_a_line(self, error: Exception) -> None:
        ending = errors.ending(error)
        assert ending is not None
        assert ending.line.startswith("there is too little memory")
        assert ending.exit_code == 1
        assert errors.ending(ImportError("no such thing")) is None


def in_a_shell(
    line: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs `astrosearch …` as a shell would, with its redirections."""
    program = f'exec "{sys.executable}" -m astrosearch {line}'
    return subprocess.run(
        ["/bin/sh", "-c", program],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
class TestStreams:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("query - <&-", "standard input is closed"),
            ("shell <&-", "standard input is closed"),
            ("query gas >&-", "the answer cannot be written: standard output is closed"),
            ("help >&-", "the answer cannot be written: standard output is closed"),
            ("--help >&-", "the answer cannot be written: standard output is closed"),
        ],
    )
    def test_a_closed_stream_is_one_line(self, built: Path, line: str, said: str) -> None:
        result = in_a_shell(line)
        assert (result.returncode, result.stderr.decode()) == (1, f"astrosearch: {said}\n")

    @pytest.mark.parametrize(
        "line",
        [
            "query gas",
            "indexes info",
            "compare --text gas --text wind --format json",
            "complete gas --no-grounding --model {model} --max-new-tokens 4",
        ],
    )
    def test_a_reader_that_has_seen_enough_is_no_failure(
        self, built: Path, tiny_llama: Path, line: str
    ) -> None:
        program = line.format(model=tiny_llama)
        done = subprocess.run(
            ["/bin/sh", "-c", f'("{sys.executable}" -m astrosearch {program}; echo "$?" >&2) | :'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr.splitlines()[-1] == "0", done.stderr
        assert "Traceback" not in done.stderr

    def test_a_file_whose_name_is_not_text_is_no_matter_of_the_encoding(
        self, home: Path, tmp_path: Path, tiny_llama: Path
    ) -> None:
        source = os.fsencode(tmp_path) + b"/\xff.json"
        Path(os.fsdecode(source)).write_text(kaggle_line(1))
        command = (sys.executable, "-m", "astrosearch", "index", "--encoder", str(tiny_llama))
        made = subprocess.run([*command, "--corpus", source], capture_output=True, check=False)
        assert made.returncode == 0, made.stderr
        info = in_a_shell("indexes info", PYTHONIOENCODING="utf-8")
        assert (info.returncode, info.stderr) == (0, b"")
        assert b"?.json" in info.stdout

    @pytest.mark.parametrize("line", ["query -", "shell"])
    def test_bytes_that_are_not_text_are_no_traceback(self, built: Path, line: str) -> None:
        result = in_a_shell(line, b"gas \xff\n", PYTHONIOENCODING="utf-8:strict")
        assert (result.returncode, result.stderr) == (0, b"")
        assert len(result.stdout.splitlines()) == 10

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems keep to no such limit")
    @pytest.mark.parametrize(
        "line", ["query gas", "search gas", "index", "shell", "train whiten x"]
    )
    def test_memory_that_cannot_suffice_is_one_line(self, built: Path, line: str) -> None:
        """The libraries would end the process, or print pages."""
        done = subprocess.run(
            ["/bin/sh", "-c", f'ulimit -v 900000; exec "{sys.executable}" -m astrosearch {line}'],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = "there is too little memory: this process may take 922 MB (ulimit -v)"
        assert done.returncode == 1
        assert done.stderr.startswith(f"astrosearch: {said}")
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    @pytest.mark.parametrize("line", ["query gas --format csv", "--version", "indexes info"])
    def test_a_full_disk_under_standard_output_is_one_line(self, built: Path, line: str) -> None:
        result = in_a_shell(f"{line} > /dev/full")
        said = "astrosearch: the answer cannot be written: No space left on device\n"
        assert (result.returncode, result.stderr.decode()) == (1, said)

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
    @pytest.mark.parametrize("form", ["table", "csv", "json", "bibtex"])
    def test_an_encoding_without_the_letters_is_no_traceback(
        self, run: Run, tmp_path: Path, tiny_llama: Path, encoding: str, form: str
    ) -> None:
        source = tmp_path / "letters.json"
        source.write_text(kaggle_line(1, title="Gas at z ∼ 3 — Σ of Tétlás", authors="Ana Tétlás"))
        run("index", "letters", "--corpus", source, "--encoder", tiny_llama)
        result = in_a_shell(f"query gas --format {form}", PYTHONIOENCODING=encoding)
        assert result.returncode == 0, result.stderr
        text = result.stdout.decode(encoding)
        if form == "json":
            (hit,) = json.loads(text)["hits"]
            assert hit["title"] == "Gas at z ∼ 3 — Σ of Tétlás"
            assert not result.stderr
        elif form != "bibtex":  # whose own TeX is ASCII
            assert "Gas at z ~ 3" in text
            assert ("Tetlas" if encoding == "ascii" else "Tétlás") in text
            codec = {"latin-1": "iso8859-1"}.get(encoding, encoding)
            assert f"do not exist in {codec} and were replaced" in result.stderr.decode()
