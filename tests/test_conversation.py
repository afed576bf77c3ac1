"""Questions that follow one another, in the library and in `astrosearch shell`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astrosearch.search.conversation import Conversation, goes_on
from astrosearch.search.searcher import Searcher, open_index
from tests.conftest import Run
from tests.servers import chat_service

DIALOGUES: list[list[dict[str, Any]]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "dialogues.jsonl").read_text("utf-8").splitlines()
]
"""Each turn has a question, whether it goes on from the one before, and a paper that answers it."""


@pytest.fixture
def sampler(home: Path, sampler_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searcher]:
    monkeypatch.setenv("ASTROSEARCH_HOME", str(sampler_home))
    with open_index("sampler") as opened:
        yield opened


def quotes(searcher: Searcher, conversation: Conversation, question: str) -> set[str]:
    """The papers that are quoted."""
    return {paper.id for paper in conversation.ask(searcher, question).sources}


def test_a_question_that_goes_on_keeps_the_subject(sampler: Searcher) -> None:
    found = alone = asked = 0
    for turns in DIALOGUES:
        conversation = Conversation()
        for turn in turns:
            is_quoted = turn["paper"] in quotes(sampler, conversation, turn["question"])
            if not turn["goes_on"]:
                assert is_quoted, turn
                continue
            asked += 1
            found += is_quoted
            alone += turn["paper"] in quotes(sampler, Conversation(), turn["question"])
    assert len(DIALOGUES) == 30
    assert asked == 32
    assert found >= 28
    assert alone <= 20  # by itself a question of this kind says too little


def test_questions_without_a_subject_are_told_from_those_with_one() -> None:
    turns = [turn for turns in DIALOGUES for turn in turns]
    assert [goes_on(turn["question"]) for turn in turns] == [turn["goes_on"] for turn in turns]


@pytest.mark.parametrize(
    "question",
    ["and at higher redshift?", "Why?", "in clusters?", "does it vary?", "since when?", "how so?"],
)
def test_a_question_without_a_subject_goes_on(question: str) -> None:
    assert goes_on(question)


@pytest.mark.parametrize(
    "question",
    [
        "is it true that dark matter decays?",
        "is there evidence for a fifth force?",
        "at what redshift do quasars peak?",
        "In clusters, what heats the gas?",
        "android telescopes",
    ],
)
def test_a_question_with_a_subject_stands_by_itself(question: str) -> None:
    assert not goes_on(question)


def test_long_questions_of_people_stand_by_themselves() -> None:
    file = Path(__file__).parents[1] / "training/development.jsonl"
    questions = [json.loads(line)["question"] for line in file.read_text("utf-8").splitlines()]
    assert len(questions) == 300
    assert not any(map(goes_on, questions))


def test_filters_stay_until_the_next_question_has_its_own(sampler: Searcher) -> None:
    conversation = Conversation()
    question = "what do baryon acoustic oscillations say about dark energy?"
    first = conversation.ask(sampler, f"{question} year:2024")
    again = conversation.ask(sampler, "and their distances?")
    assert f"Going on from: {question}" in again.notes
    assert again.sources
    assert {paper.published.year for paper in (*first.sources, *again.sources)} == {2024}
    for narrower in ("and with three years of data? year:2025", "year:2025"):
        other = conversation.ask(sampler, narrower)
        assert {paper.published.year for paper in other.sources} == {2025}


def test_the_shell_answers_several_turns(sampler: Searcher, run: Run) -> None:
    lines = [
        "/format json",
        "/ask how massive is the pulsar in a compact relativistic binary?",
        "/ask and its companion?",
        "/format table",
        "/open 1",
    ]
    result = run("shell", stdin="\n".join(lines))
    whole = json.JSONDecoder()
    first, end = whole.raw_decode(result.stdout)
    second, end = whole.raw_decode(result.stdout, end + 1)
    assert first == json.loads(run("ask", lines[1][5:], "--format", "json").stdout)
    texts = [quote["text"] for group in second["groups"] for quote in group["quotes"]]
    assert any("0.172" in text for text in texts)
    assert "Going on from: how massive is the pulsar" in result.stderr
    assert "id: 1304.6875v1" in result.stdout[end + 1 :]


def test_a_model_answers_in_the_shell(sampler: Searcher, run: Run) -> None:
    question = "how massive is the pulsar in a compact relativistic binary?"
    with chat_service() as service:
        service.pieces = ["The pulsar is heavy [1]."]
        lines = ["/model openai:gpt-4o", f"/ask {question}", "/ask and its companion?"]
        result = run("shell", "--yes", stdin="\n".join(lines))
        asked = service.bodies[-1]["messages"][1]["content"]
    assert result.stdout.count("Generated text, not a result") == 2
    assert f"Question: {question} and its companion?" in asked


@pytest.mark.usefixtures("sampler")
def test_what_cannot_be_asked_costs_its_line_alone(run: Run) -> None:
    lines = ["/ask", "/format ids", "/ask why?", "/format", "/ask how far away is Sirius?"]
    result = run("shell", stdin="\n".join(lines), code=2)
    first, second, *_ = result.stderr.splitlines()
    assert "ask something: /ask" in first
    assert "/ask cannot answer with --format ids" in second
    assert "Sirius" in result.stdout
