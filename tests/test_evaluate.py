"""Whether `astrosearch eval` says how good an index is, and says it soberly."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from rich.console import Console

from astrosearch import paths
from astrosearch.cli.views.evaluation import report_view
from astrosearch.corpus.intake import Selection
from astrosearch.encoders.base import Encoder, EncoderSpec
from astrosearch.encoders.loading import load_encoder
from astrosearch.errors import InputError
from astrosearch.evaluation.bootstrap import Estimate, interval, resampled_means
from astrosearch.evaluation.gate import DECISIVE
from astrosearch.evaluation.metrics import MEASURES, isotropy, measure, rank_pessimistically
from astrosearch.evaluation.qrels import Judgement, read_judgements
from astrosearch.evaluation.report import Report
from astrosearch.evaluation.retrieval import evaluate
from astrosearch.evaluation.split import is_held_out
from astrosearch.evaluation.tasks import HALF, JUDGEMENTS, TITLE, Settings, sample_tasks
from astrosearch.index.build import build
from astrosearch.index.reader import Index
from astrosearch.report import SILENT
from astrosearch.text.sentences import halves
from tests.conftest import WORDS, Run, kaggle_line, make_llama

PAPERS = 60


def abstract(number: int) -> str:
    """Two sentences of fourteen words, no two papers alike."""
    generator = np.random.default_rng(number)
    first, second = (" ".join(generator.choice(WORDS[:40], 14)) for _ in range(2))
    return f"We find {first}. Hydrogen of {second} is a model."


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 invented papers whose titles are the beginnings of their abstracts."""
    path = tmp_path_factory.mktemp("corpus") / "papers.json"
    texts = [abstract(number) for number in range(PAPERS)]
    lines = [
        kaggle_line(number, title=" ".join(text.split()[2:10]), abstract=text)
        for number, text in enumerate(texts)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def small(run: Run, corpus: Path, tiny_llama: Path) -> Index:
    """An index `small` of it."""
    run("index", "small", "--corpus", corpus, "--encoder", tiny_llama)
    return Index(paths.existing_index("small"))


def ids_of(index: Index) -> list[str]:
    return [paper.id for paper in index.corpus]


def report_of(
    index: Index, settings: Settings, judgements: Sequence[Judgement] = (), *others: Path
) -> Report:
    encoders = [
        (spec.model, load_encoder(spec, SILENT))
        for spec in (index.manifest.encoder, *(EncoderSpec(str(other)) for other in others))
    ]
    return evaluate(index, settings, sample_tasks(index, settings, judgements), encoders)


# --- measures -----------------------------------------------------------------------------------


def test_measures_of_four_rankings_written_out() -> None:
    answers = [
        [7, 1, 2],  # the one relevant paper first
        [1, 2, 7],  # third
        [1, 7, 2, 8],  # two relevant papers, second and fourth
        [],  # nothing found
    ]
    relevant = [{7: 1}, {7: 1}, {7: 1, 8: 1}, {7: 1}]
    values = measure([np.array(one, dtype=np.int64) for one in answers], relevant)
    two_found = (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    assert values == pytest.approx(
        np.array(
            [
                [1, 1, 1, 1],
                [0, 1, 1 / 3, 1 / 2],
                [0, 1, 1 / 2, two_found],
                [0, 0, 0, 0],
            ]
        ),
        abs=1e-9,
    )


def test_grades_count_in_ndcg() -> None:
    best, other = [np.array(one, dtype=np.int64) for one in ([3, 4], [4, 3])]
    values = measure([best, other], [{3: 2, 4: 1}] * 2)
    perfect = 2 + 1 / np.log2(3)
    assert values[:, 3] == pytest.approx([1, (1 + 2 / np.log2(3)) / perfect])


def test_what_stands_eleventh_is_not_found() -> None:
    answer = np.arange(11)
    assert measure([answer, answer], [{9: 1}, {10: 1}])[:, 1].tolist() == [1, 0]


@pytest.mark.parametrize("right", [0, 5, 9])
def test_a_tie_counts_against_the_right_answer_wherever_it_stands(right: int) -> None:
    scores = np.array([0.5] * 9 + [0.4])
    order = rank_pessimistically(scores, np.arange(10), {right: 1}).tolist()
    assert order.index(right) == (9 if right == 9 else 8)


def test_interval_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(3).normal(size=(400, 1))
    found = interval(values.mean(), resampled_means(values, seed=0)[:, 0])
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.low == pytest.approx(found.value - half, abs=0.01)
    assert found.high == pytest.approx(found.value + half, abs=0.01)


def test_a_small_difference_on_every_query_is_seen_though_the_queries_differ_widely() -> None:
    generator = np.random.default_rng(0)
    before = generator.uniform(size=(200, 1))
    noise = generator.normal(0, 0.05, size=(200, 1))
    means = resampled_means(np.concatenate([before, before + 0.02 + noise, before + noise], 1), 0)
    better = interval((0.02 + noise).mean(), means[:, 1] - means[:, 0])
    same = interval(noise.mean(), means[:, 2] - means[:, 0])
    assert better.verdict == "better"
    assert (better.low, better.high) == pytest.approx((0.013, 0.027), abs=0.006)
    assert same.verdict == "no clear difference"
    # Unpaired, the intervals overlap: only the pairing shows it.
    assert interval(before.mean(), means[:, 0]).high > interval(0, means[:, 1]).low
    assert Estimate(-0.2, -0.3, -0.1).verdict == "worse"


def test_isotropy_of_known_vectors() -> None:
    # Two opposite directions, as often: cosines are 1 and -1, all variance is along one axis.
    line = np.array([[1.0, 0.0], [-1.0, 0.0]] * 50)
    found = isotropy(line)
    assert found.mean == pytest.approx(-1 / 99, abs=0.02)
    assert (found.spread, found.top_component) == pytest.approx((1, 1), abs=0.001)
    # Texts that all look alike.
    alike = isotropy(np.array([[3.0, 4.0]] * 10))
    assert (alike.mean, alike.spread, alike.top_component) == (1, 0, 1)
    # Each axis alike, both ways: isotropic, each of 4 axes has a quarter.
    axes = np.concatenate([np.eye(4), -np.eye(4)] * 20)
    even = isotropy(axes)
    assert even.mean == pytest.approx(0, abs=0.02)
    assert even.spread == pytest.approx(0.5, abs=0.02)
    assert even.top_component == 0.25


# --- samples ------------------------------------------------------------------------------------


def test_an_abstract_is_cut_between_sentences_near_its_middle() -> None:
    text = (
        "The gas of Smith et al. 2003 was stripped, cf. Fig. 3, by M. Wolf. We model it with runs "
        "of $N$ bodies. It fits."
    )
    assert halves(text) == (
        "The gas of Smith et al. 2003 was stripped, cf. Fig. 3, by M. Wolf.",
        "We model it with runs of $N$ bodies. It fits.",
    )
    assert halves("One sentence of more than ten words stands here alone, uncut.") is None
    assert halves("A long enough first sentence is here. Short.") is None


def test_a_sample_depends_on_nothing_but_the_papers_and_the_seed(
    run: Run, corpus: Path, small: Index, tiny_llama: Path, tmp_path: Path
) -> None:
    backwards = tmp_path / "backwards.json"
    backwards.write_text("\n".join(reversed(corpus.read_text().splitlines())) + "\n")
    run("index", "backwards", "--corpus", backwards, "--encoder", tiny_llama)
    other = Index(paths.existing_index("backwards"))
    settings = Settings(queries=10, pool=30)
    for one, two in zip(sample_tasks(small, settings), sample_tasks(other, settings), strict=True):
        assert [query.text for query in one.queries] == [query.text for query in two.queries]
        assert set(np.array(ids_of(small))[one.rows]) == set(np.array(ids_of(other))[two.rows])
        assert (len(one.queries), len(one.rows)) == (10, 30)
    larger = sample_tasks(small, Settings(queries=20, pool=40))[0]
    assert set(sample_tasks(small, settings)[0].rows) < set(larger.rows)
    assert sample_tasks(small, Settings(queries=10, pool=30, seed=1))[0].sample != (
        sample_tasks(small, settings)[0].sample
    )


def test_held_out_means_queries_and_pool(small: Index) -> None:
    for task in sample_tasks(small, Settings(held_out=True)):
        ids = [ids_of(small)[row] for row in task.rows]
        assert sorted(ids) == sorted(filter(is_held_out, ids_of(small)))
        assert len(task.queries) == len(ids) > 5


def test_each_query_of_title_and_half_has_its_own_paper_for_an_answer(small: Index) -> None:
    titles, parts = sample_tasks(small, Settings())
    for task in (titles, parts):
        for query in task.queries:
            (place,) = query.relevant
            (paper,) = small.corpus.papers([int(task.rows[place])])
            if task.name == TITLE:
                assert query.text == paper.title
            else:
                assert task.halves is not None
                assert f"{query.text} {task.halves[place]}" == paper.abstract


# --- judgements ---------------------------------------------------------------------------------


def test_both_formats_of_judgements_say_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "judged.jsonl"
    lines.write_text(
        '{"id": "arXiv:2601.16919v2", "relevant": ["1905.08667", "2503.14452"], "source": "me"}\n'
        "\n"
        '{"query": "tidal  tails", "relevant": ["astro-ph/9401008"]}\n'
    )
    qrels, topics = tmp_path / "judged.qrels", tmp_path / "topics.tsv"
    qrels.write_text(
        "2601.16919 0 1905.08667 1\n2601.16919 0 2503.14452 1\n2601.16919 0 2001.00001 0\n"
        "17 0 astro-ph/9401008 1\n"
    )
    topics.write_text("17\ttidal tails\n")
    expected = [
        Judgement("2601.16919", None, {"1905.08667": 1, "2503.14452": 1}),
        Judgement(None, "tidal tails", {"astro-ph/9401008": 1}),
    ]
    assert read_judgements(lines) == expected
    assert read_judgements(qrels, topics) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ('{"id": "2601.16919", "relevant": []}\n{"id": \n', ":2: not JSON"),
        ('{"id": 2601.16919, "relevant": ["1905.08667"]}', ":1: identifiers and queries are str"),
        ('{"relevant": ["1905.08667"]}', ":1: no judgement"),
        ('{"query": " ", "relevant": ["1905.08667"]}', ":1: the query is empty"),
        ("2601.16919 0 1905.08667 1\n2601.16919 1905.08667\n", ":2: neither JSON nor a line of"),
        (f"2601.16919 0 1905.08667 {10**25}\n", ":1: neither JSON nor a line of"),
        ("2601.16919 0 1905.08667 much\n", ":1: neither JSON nor a line of"),
    ],
)
def test_bad_judgements_get_one_line_with_its_number(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "judged.txt"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_judgements(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_paper_is_never_its_own_answer(small: Index) -> None:
    ids = ids_of(small)
    # Were the paper that asks among the answers it would be first, and its neighbour second.
    neighbour = small.search(small.vector(0)[None], 2)[1][0][1]
    judged = [Judgement(ids[0], None, {ids[neighbour]: 1, ids[0]: 1})]
    report = report_of(small, Settings((JUDGEMENTS,)), judged)
    (task,) = report.tasks
    assert task.task.queries[0].text == small.corpus.papers([0])[0].text
    dense = next(one for one in task.results if one.mode == "dense")
    assert dict(zip(MEASURES, dense.values[0], strict=True)) == dict.fromkeys(MEASURES, 1.0)


def test_unknown_ids_are_counted_and_named_and_fatal_only_if_none_is_left(
    run: Run, small: Index, tmp_path: Path
) -> None:
    ids = ids_of(small)
    path = tmp_path / "judged.jsonl"
    path.write_text(
        f'{{"id": "{ids[0]}", "relevant": ["{ids[1]}", "9912.34567"]}}\n'
        '{"id": "2601.16919", "relevant": ["1905.08667"]}\n'
    )
    options = ["eval", "small", "--task", JUDGEMENTS, "--judgements", path]
    said = run(*options).stderr
    assert "3 of 5 judged ids are not in the index: 1905.08667, 2601.16919, 9912.34567" in said
    assert "1 of 2 queries are left out" in said
    path.write_text('{"id": "2601.16919", "relevant": ["1905.08667"]}\n')
    said = run(*options, code=2).stderr
    assert "no judgement can be used" in said
    assert len(said.splitlines()) == 1


# --- the whole ----------------------------------------------------------------------------------


def test_words_find_what_shares_them_and_every_mode_is_reported(small: Index) -> None:
    report = report_of(small, Settings())
    for task in report.tasks:
        assert [one.mode for one in task.results] == ["lexical", "dense", "hybrid"]
        for result in task.results:
            for name, estimate in result.estimates.items():
                assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1, name
    titles = report.tasks[0].results[0]
    assert titles.estimates["R@1"].value > 0.9  # a title is the beginning of its abstract


def test_the_vectors_asked_are_those_of_the_index_and_tell_what_a_scan_tells(
    small: Index,
) -> None:
    report = report_of(small, Settings((TITLE,)))
    task, dense = report.tasks[0].task, report.tasks[0].results[1]
    encoder = load_encoder(small.manifest.encoder, SILENT)
    documents = np.stack([small.vector(int(row)) for row in task.rows])
    first = 0
    for query, values in zip(task.queries, dense.values, strict=True):
        cosines = documents @ encoder.encode([query.text])[0]
        (place,) = query.relevant
        rank = int((cosines >= cosines[place] - 1e-6).sum())
        assert values[0] == (rank == 1)
        assert values[2] == pytest.approx(1 / rank if rank <= 10 else 0)
        first += rank == 1
    assert first < len(task.queries)


def test_twice_the_same_report_and_it_is_read_by_programs(run: Run, small: Index) -> None:
    options = ["eval", "small", "--queries", 20, "--json"]
    once, again = run(*options), run(*options)
    assert once.stdout == again.stdout
    record = json.loads(once.stdout)
    assert record["settings"]["queries"] == 20
    assert {task["task"]: (task["queries"], task["pool"]) for task in record["tasks"]} == {
        TITLE: (20, PAPERS),
        HALF: (20, PAPERS),
    }
    assert set(record["tasks"][0]["results"][0]["measures"]) == set(MEASURES)
    assert record["versions"]["ir_measures"]


def test_a_title_is_never_in_the_document_that_has_to_be_found(
    small: Index, tmp_path: Path
) -> None:
    titled = replace(small.manifest.encoder, document="title-and-abstract")

    def load(spec: EncoderSpec) -> Encoder:
        return load_encoder(spec, SILENT)

    source = [Path(one) for one in small.manifest.corpus.sources]
    build(tmp_path / "titled", source, Selection(), titled, load)
    index = Index(tmp_path / "titled")
    assert not np.allclose(index.vectors[0], small.vectors[0], atol=1e-2)
    both = [report_of(one, Settings((TITLE,))).tasks[0] for one in (small, index)]
    for plain, other in zip(both[0].results, both[1].results, strict=True):
        assert np.array_equal(plain.values, other.values)


def test_another_encoder_is_asked_the_same_and_the_difference_judged(
    run: Run, small: Index, tiny_llama: Path, tmp_path: Path
) -> None:
    other = make_llama(tmp_path / "other", seed=1)
    lines = [
        line.split("\t")
        for line in run(
            "eval", "small", "--task", "title", "--against", tiny_llama, "--against", other
        ).stdout.splitlines()
    ]
    same = [line for line in lines if line[:3:2] == ["title", str(tiny_llama)]]
    assert len(same) == 2 * len(MEASURES)
    assert all(
        line[7:] == ["+0.0000", "+0.0000", "+0.0000", "no clear difference"] for line in same
    )
    different = [line for line in lines if line[2] == str(other) and line[0] == "title"]
    assert {len(line) for line in different} == {11}
    assert [line[3] for line in lines if line[0] == "isotropy"][:3] == [
        "mean cosine",
        "spread of cosines",
        "first component",
    ]


def test_the_gate_lets_the_same_index_pass_and_stops_a_worse_one(
    run: Run, small: Index, corpus: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--save", saved)
    assert "Not worse" in run("eval", "small", "--gate", saved).stderr

    # A model of a quarter of the width.
    run("index", "worse", "--corpus", corpus, "--encoder", make_llama(tmp_path / "w", 5, width=16))
    result = run("eval", "worse", "--gate", saved, code=1)
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("astrosearch:")]
    assert "worse than" in line
    assert "dense: nDCG@10" in line
    assert "lexical" not in line  # the words are the same


def test_a_gate_wants_the_same_sample_and_says_what_to_do(
    run: Run, small: Index, tmp_path: Path
) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--task", "title", "--queries", 10, "--save", saved)
    said = run("eval", "small", "--task", "title", "--queries", 20, "--gate", saved, code=2).stderr
    assert "queries 10, not 20: give the same options" in said
    said = run("eval", "small", "--queries", 10, "--gate", saved, code=2).stderr
    assert "ask for the same with --task" in said
    record = orjson.loads(saved.read_bytes())
    record["tasks"][0]["sample"] = "0" * 32
    saved.write_bytes(orjson.dumps(record))
    said = run("eval", "small", "--task", "title", "--queries", 10, "--gate", saved, code=2).stderr
    assert "the index's papers, or the judgements, have changed" in said
    for text in ("{}", "[1]", "not JSON", '{"format": "astrosearch-eval-0", "tasks": []}'):
        saved.write_text(text)
        said = run("eval", "small", "--gate", saved, code=2).stderr
        assert "is not a report in the format astrosearch-eval-1" in said


def test_a_damaged_report_is_no_verdict(run: Run, small: Index, tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--task", "title", "--queries", 10, "--save", saved)
    whole = saved.read_bytes()

    def result(record: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = record["tasks"][0]["results"][0]
        return found

    def without(name: str) -> Callable[[dict[str, Any]], object]:
        return lambda record: result(record).pop(name)

    damages: list[Callable[[dict[str, Any]], object]] = [
        *(without(name) for name in ("values", "mode", "differences")),
        lambda record: result(record)["values"].pop(DECISIVE),
        lambda record: result(record)["values"][DECISIVE].pop(),
        lambda record: result(record)["values"].update({DECISIVE: [0.5]}),
        lambda record: result(record)["values"].update({DECISIVE: ["a"] * 10}),
        lambda record: result(record)["values"].update({DECISIVE: [None] * 10}),
        lambda record: result(record).update(values=[1]),
        lambda record: result(record).update(mode="other"),
        lambda record: record.pop("settings"),
        lambda record: record["tasks"][0].pop("sample"),
        lambda record: record["tasks"][0].pop("task"),
    ]
    for damage in damages:
        record = orjson.loads(whole)
        damage(record)
        saved.write_bytes(orjson.dumps(record))
        options = ["--task", "title", "--queries", 10, "--gate", saved]
        assert "is not a report in the format" in run("eval", "small", *options, code=2).stderr


def test_a_gate_does_not_decide_by_a_handful_of_queries(
    run: Run, small: Index, tmp_path: Path
) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--task", "title", "--queries", 3, "--save", saved)
    said = run("eval", "small", "--task", "title", "--queries", 3, "--gate", saved, code=2).stderr
    assert "3 queries: of fewer than 10 no interval can be had" in said


def test_where_a_report_cannot_be_saved_is_said_before_anything_is_measured(
    run: Run, small: Index, tmp_path: Path
) -> None:
    result = run("eval", "small", "--save", tmp_path / "nowhere" / "x.json", code=2)
    assert "cannot be written" in result.stderr
    assert not result.stdout


def test_fewer_papers_than_asked_for_are_all_asked_and_it_is_said(run: Run, small: Index) -> None:
    said = run("eval", "small", "--task", "title").stderr
    assert "title: only 60 papers available; using all (1,000 queries requested)" in said
    said = run("eval", "small", "--task", "title", "--pool", 20, "--queries", 10).stderr
    assert "answers are sought among 20 of 60 papers" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--task", "judgements"],
        ["--topics", __file__],
        ["--task", "title", "--judgements", __file__],
    ],
)
def test_options_that_contradict_each_other_are_refused(
    run: Run, small: Index, options: list[str]
) -> None:
    run("eval", "small", *options, code=2)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal(small: Index, tiny_llama: Path, width: int) -> None:
    report = report_of(small, Settings(), (), tiny_llama)
    console = Console(width=width, force_terminal=True, record=True, file=StringIO())
    console.print(report_view(report, width))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    value = report.tasks[0].results[0].estimates["MRR@10"]
    assert f"{value.value:.3f}" in text
    assert f"{value.low:.3f}–{value.high:.3f}" in text
