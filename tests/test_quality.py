"""What the shipped encoder finds, compared with a report that is frozen in the repository."""

import json

import pytest

from tests.conftest import FROZEN, Run

REPORT = FROZEN / "sampler-titles.json"


@pytest.mark.usefixtures("default_model")
def test_titles_of_the_sampler_find_their_summaries_as_well_as_ever(run: Run) -> None:
    run("index")
    options = ("--task", "title", "--queries", 264)
    result = run("eval", "sampler", *options, "--gate", REPORT, "--format", "json")
    assert f"Not worse than {REPORT}" in result.stderr
    [task] = json.loads(result.stdout)["tasks"]
    [frozen] = json.loads(REPORT.read_text())["tasks"]
    assert task["queries"] == 264
    for now, then in zip(task["results"], frozen["results"], strict=True):
        assert now["mode"] == then["mode"]
        # Rounding in other libraries may move a title or two, no more.
        for measure, estimate in then["measures"].items():
            value = now["measures"][measure]["value"]
            assert value == pytest.approx(estimate["value"], abs=0.01), (now["mode"], measure)
