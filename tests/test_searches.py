"""Saved searches, settings, and what the Tab key offers."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.test_library import sampler, sampler_home
from tests.test_new import check_atom

__all__ = ["sampler", "sampler_home"]

NEW_PAPER = {
    "id": "2607.99999",
    "title": "The Magellanic Stream seen in H I",
    "abstract": "We map the Magellanic Stream and its leading arm.",
    "authors": ["Ann Doe"],
    "categories": ["astro-ph.GA"],
    "published": "2026-07-25",
}


def arrive(run: Run, folder: Path, **changes: object) -> None:
    """A paper comes by an update."""
    file = folder / "more.jsonl"
    with file.open("a") as stream:
        stream.write(json.dumps({**NEW_PAPER, **changes}) + "\n")
    run("update", "sampler", "--corpus", file)


class TestSearches:
    def test_a_saved_search_gives_what_the_query_gives(self, sampler: Path, run: Run) -> None:
        options = ("--category", "astro-ph.GA", "--since", "2000", "-k", 4, "--mode", "lexical")
        run("save", "stream", "magellanic stream", *options)
        text = (sampler / "searches.toml").read_text()
        assert "since = 2000-01-01" in text
        assert "sort" not in text
        for form in ("table", "ids", "csv", "bibtex"):
            query = run("query", "magellanic stream", *options, "--format", form).stdout
            assert run("run", "stream", "--format", form).stdout == query
        listed = json.loads(run("searches", "--format", "json").stdout)
        assert listed[0]["options"]["since"] == "2000-01-01"

    def test_new_shows_what_came_since_the_last_run_and_fits(
        self, sampler: Path, run: Run, tmp_path: Path
    ) -> None:
        run("save", "stream", "magellanic stream")
        run("save", "doe", "author:doe")
        run("run", "--all")
        assert "nothing new" in run("run", "--all", "--new", code=4).stderr
        arrive(run, tmp_path)
        arrive(run, tmp_path, id="2607.99998", title="Rings", abstract="Of ice.", authors=["B. Li"])
        ids = run("run", "stream", "--new", "--format", "ids").stdout.split()
        assert ids[0] == "2607.99999"
        assert run("run", "doe", "--new", "--format", "ids").stdout.split() == ["2607.99999"]
        run("run", "--all", "--new", code=4)

    def test_alerts_are_one_valid_feed(self, sampler: Path, run: Run, tmp_path: Path) -> None:
        run("save", "stream", "magellanic stream")
        run("save", "doe", "author:doe")
        run("run", "--all")
        arrive(run, tmp_path)
        feed = run("run", "--all", "--new", "--format", "atom").stdout
        assert check_atom(feed) == ["https://arxiv.org/abs/2607.99999"]
        assert "search: stream; search: doe" in feed
        assert check_atom(run("run", "--all", "--new", "--format", "atom", code=4).stdout) == []

    def test_several_searches_as_json_are_a_list(self, sampler: Path, run: Run) -> None:
        run("save", "a", "stars", "-k", 2)
        run("save", "b", "gas", "-k", 3)
        answers = json.loads(run("run", "a", "b", "--format", "json").stdout)
        assert [(one["search"], len(one["hits"])) for one in answers] == [("a", 2), ("b", 3)]

    def test_searches_of_the_library_are_of_what_it_has_now(self, sampler: Path, run: Run) -> None:
        run("library", "add", "1703.10728")
        run("save", "own", "--in", "library")
        assert run("run", "own", "--format", "ids").stdout.split() == ["1703.10728"]
        run("library", "add", "1604.08592")
        assert len(run("run", "own", "--format", "ids").stdout.split()) == 2

    def test_edits_stay_and_bad_ones_are_told_with_their_line(
        self, sampler: Path, run: Run
    ) -> None:
        run("save", "a", "stars")
        file = sampler / "searches.toml"
        file.write_text(
            f"# mine\n{file.read_text()}\n[b]\nquery = 'gas'  # all of it\ncount = 3\n"
            '\n[c]\nquery = "dust"\nmode = "fuzzy"\n'
            '\n[t]\nquery = "dust"\nsince = 2015-01-01T10:00:00\n'
        )
        line = file.read_text().splitlines().index('mode = "fuzzy"') + 1
        result = run("searches")
        assert [row.split("\t")[0] for row in result.stdout.splitlines()] == ["a", "b"]
        assert f"searches.toml line {line}: mode of c cannot be used" in result.stderr
        assert f"searches.toml line {line + 4}: since of t cannot be used" in result.stderr
        assert f"line {line}" in run("run", "c", code=2).stderr
        run("save", "d", "ice")
        assert file.read_text().startswith("# mine\n")
        assert "# all of it" in file.read_text()
        run("forget", "b")
        assert "# all of it" not in file.read_text()
        file.write_text("[a\n")
        assert "searches.toml cannot be read" in run("save", "e", "x", code=2).stderr
        assert file.read_text() == "[a\n"

    def test_a_search_that_cannot_be_run_does_not_stop_the_others(
        self, sampler: Path, run: Run
    ) -> None:
        run("library", "add", "2503.14368", "--tag", "streams")
        run("save", "mine", "stream", "--in", "tag:streams")
        run("save", "stream", "magellanic stream", "-k", 2)
        run("save", "elsewhere", "dust", "--index", "sampler")
        file = sampler / "searches.toml"
        file.write_text(file.read_text().replace('index = "sampler"', 'index = "gone"'))
        run("library", "tag", "2503.14368", "--untag", "streams")
        result = run("run", "--all", "--format", "jsonl", code=1)
        assert [json.loads(line)["search"] for line in result.stdout.splitlines()] == ["stream"]
        assert "mine: no paper of the library has the tag 'streams'" in result.stderr
        assert "elsewhere: there is no index 'gone'" in result.stderr
        assert "2 of 3 searches could not be run" in result.stderr
        assert "no paper of the library" in run("run", "mine", code=2).stderr

    def test_the_order_of_a_search_is_that_of_the_query(self, sampler: Path, run: Run) -> None:
        text = "planets that might have liquid water"
        for name, options in {"mean": ("--ranker", "mean"), "read": ("--rerank",)}.items():
            query = run("query", text, "-k", 30, "--format", "ids", *options).stdout
            assert query != run("query", text, "-k", 30, "--format", "ids").stdout
            run("save", name, text, "-k", 30, *options)
            assert run("run", name, "--format", "ids").stdout == query
        file = sampler / "searches.toml"
        assert 'rerank = "cross-encoder"' in file.read_text()
        file.write_text(file.read_text().replace("cross-encoder", "cross"))
        assert "rerank of read cannot be used" in run("run", "read", code=2).stderr

    def test_mistakes_get_a_line(self, sampler: Path, run: Run) -> None:
        assert "save one" in run("searches", code=4).stderr
        assert "neither a query nor a filter" in run("save", "a", code=2).stderr
        assert "cannot name a search" in run("save", "a b", "x", code=2).stderr
        run("save", "a", "x")
        assert "--force" in run("save", "a", "y", code=2).stderr
        run("save", "a", "y", "--force")
        assert "there are: a" in run("run", "z", code=4).stderr
        assert "there are: a" in run("forget", "z", code=4).stderr
        assert "give --all" in run("run", code=2).stderr


class TestConfig:
    @pytest.fixture
    def config(self, home: Path) -> Path:
        file = home.parent / "config/astrosearch/config.toml"
        file.parent.mkdir(parents=True)
        return file

    def test_options_win_over_the_environment_which_wins_over_the_file(
        self, sampler: Path, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch, home: Path
    ) -> None:
        shutil.copytree(home / "indexes/sampler", home / "indexes/other")
        config.write_text('index = "sampler"\ncount = 2\nformat = "json"\n')

        def ask(*arguments: object) -> tuple[str, int]:
            answer = json.loads(run("query", "stars", *arguments).stdout)
            return answer["index"], len(answer["hits"])

        assert ask() == ("sampler", 2)
        config.write_text(config.read_text().replace("count", "k"))
        assert ask() == ("sampler", 2)
        assert ask("-k", 5) == ("sampler", 5)
        monkeypatch.setenv("ASTROSEARCH_INDEX", "other")
        assert ask() == ("other", 2)
        assert ask("-i", "sampler") == ("sampler", 2)
        assert len(run("query", "stars", "--format", "ids").stdout.split()) == 2

    def test_the_columns_of_a_wide_table_can_be_chosen(self, config: Path) -> None:
        from datetime import date

        from rich.console import Console

        from astrosearch.cli.views.hits import hits_table
        from astrosearch.config import read_config
        from astrosearch.papers import Paper
        from astrosearch.search.hits import Hit

        paper = Paper(
            "2101.00001", "On rings", "", ("Ann Doe",), ("astro-ph.EP",), date(2021, 1, 1)
        )
        config.write_text('columns = ["title", "year"]\n')
        columns = read_config().columns
        assert columns
        console = Console(width=140, record=True, file=io.StringIO())
        hits = [Hit(1, 1.0, paper)]
        console.print(hits_table(hits, abstracts=False, width=140, columns=columns))
        shown = console.export_text()
        assert "On rings" in shown
        assert "2021" in shown
        assert "Doe" not in shown
        assert shown.index("title") < shown.index("year")

    def test_bad_settings_are_told_with_their_line(self, config: Path, run: Run) -> None:
        config.write_text('index = 3\ncolour = "red"\n\n[follow]\nauthors = "Riess"\n')
        told = run("config", "show").stderr.splitlines()
        assert [line.partition("config.toml ")[2] for line in told[:3]] == [
            "line 1: index is not a text in quotes",
            "line 2: colour has no meaning here",
            'line 5: follow.authors is not a list of texts: ["…", "…"]',
        ]
        config.write_text("colour = 1\n")
        assert "line 1: colour has no meaning here" in run("indexes", "list", code=3).stderr
        config.write_text("index = \n")
        assert "config.toml cannot be read" in run("query", "x", code=2).stderr
        assert run("config", "path").stdout.strip() == str(config)

    def test_edit_begins_with_a_file_that_lists_all_settings(
        self, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        editor = tmp_path / "editor"
        editor.write_text("#!/bin/sh\nsed -i 's/^# count = 10 .*/count = 7/' \"$1\"\n")
        editor.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(editor))
        monkeypatch.delenv("VISUAL", raising=False)
        run("config", "edit")
        assert json.loads(run("config", "show", "--format", "json").stdout)["count"] == 7
        every = "\n".join(
            line[2:] if line.startswith("# ") and " = " in line else line
            for line in config.read_text().splitlines()
        )
        config.write_text(every)
        result = run("config", "show", "--format", "json")
        assert not result.stderr
        assert all(json.loads(result.stdout).values())

    def test_an_editor_that_does_not_run_costs_one_line(
        self, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("VISUAL", raising=False)
        for editor in ("/nowhere/editor", "false"):
            monkeypatch.setenv("EDITOR", editor)
            said = run("config", "edit", code=1).stderr
            assert said.startswith(f"astrosearch: {editor}")
            assert "EDITOR names another" in said
            assert said.count("\n") == 1
        config.write_bytes(b"\xff")
        assert "is not UTF-8" in run("config", "show", code=2).stderr


class TestCompletion:
    @staticmethod
    def offered(words: str, shell: str = "bash") -> list[str]:
        """What the Tab key offers behind some words."""
        count = len(words.split(" ")) - 1
        result = subprocess.run(
            [sys.executable, "-m", "astrosearch"],
            env={
                **os.environ,
                "_ASTROSEARCH_COMPLETE": f"{shell}_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": words.split(" ")[-1] if shell == "fish" else str(count),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        if shell == "zsh":
            return result.stdout.splitlines()[1::3]
        return [
            line.partition(",")[2].partition("\t")[0] for line in result.stdout.split("\n") if line
        ]

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_names_of_searches_indexes_and_tags_are_offered(
        self, shell: str, sampler: Path, run: Run
    ) -> None:
        run("save", "jets", "jets")
        run("library", "add", "1703.10728", "--tag", "ulx")
        assert self.offered("astrosearch run j", shell) == ["jets"]
        assert self.offered("astrosearch query -i s", shell) == ["sampler"]
        # In bash, a colon separates words.
        assert "tag:ulx" in self.offered("astrosearch query --in t", shell)
        assert self.offered("astrosearch searc", shell) == ["searches"]

    def test_behind_a_word_that_is_not_a_command_commands_are_offered(self, sampler: Path) -> None:
        assert self.offered("astrosearch querry doc") == ["doctor"]

    def test_papers_of_the_last_answer_and_of_the_library_are_offered(
        self, sampler: Path, run: Run
    ) -> None:
        run("library", "add", "1604.08592")
        ids = run("query", "magellanic stream", "--format", "ids", "-k", 3).stdout.split()
        offered = self.offered("astrosearch show ")
        assert offered[:3] == ids
        assert self.offered("astrosearch similar 1604") == ["1604.08592"]

    def test_a_library_that_cannot_be_read_offers_nothing(self, sampler: Path) -> None:
        sampler.mkdir()
        (sampler / "searches.toml").write_text("[a\n")
        (sampler / "papers.toml").write_text("[a\n")
        assert self.offered("astrosearch run ") == []
        assert "liked" in self.offered("astrosearch query --in l")
