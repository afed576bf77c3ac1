"""`astrosearch eval`: measures, intervals, samples, judgements, reports and gates."""

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
    """An index `small` of the corpus."""
    run("index", "small", "--corpus", corpus, "--encoder", tiny_llama)
    return Index(paths.existing_index("small"))


def ids_of(index: Index) -> list[str]:
    return [paper.id for paper in index.corpus]


def report_of(
    index: Index, settings: Settings, judgements: Sequence[Judgement] = (), *models: Path
) -> Report:
    encoders = [
        (spec.model, load_encoder(spec, SILENT))
        for spec in (index.manifest.encoder, *(EncoderSpec(str(model)) for model in models))
    ]
    return evaluate(index, settings, sample_tasks(index, settings, judgements), encoders)


# --- measures -----------------------------------------------------------------------------------


def test_measures_of_four_rankings_written_out() -> None:
    rankings = [
        [7, 1, 2],  # the one relevant paper first
        [1, 2, 7],  # third
        [1, 7, 2, 8],  # two relevant papers, second and fourth
        [],  # nothing found
    ]
    relevant = [{7: 1}, {7: 1}, {7: 1, 8: 1}, {7: 1}]
    values = measure([np.array(ranking, dtype=np.int64) for ranking in rankings], relevant)
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
    rankings = [np.array([3, 4]), np.array([4, 3])]
    values = measure(rankings, [{3: 2, 4: 1}] * 2)
    perfect = 2 + 1 / np.log2(3)
    assert values[:, 3] == pytest.approx([1, (1 + 2 / np.log2(3)) / perfect])


def test_the_eleventh_document_does_not_count() -> None:
    ranking = np.arange(11)
    assert measure([ranking, ranking], [{9: 1}, {10: 1}])[:, 1].tolist() == [1, 0]


@pytest.mark.parametrize("relevant", [0, 5, 9])
def test_a_tie_counts_against_the_relevant_document_wherever_it_stands(relevant: int) -> None:
    scores = np.array([0.5] * 9 + [0.4])
    order = rank_pessimistically(scores, np.arange(10), {relevant: 1}).tolist()
    assert order.index(relevant) == (9 if relevant == 9 else 8)


def test_interval_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(3).normal(size=(400, 1))
    estimate = interval(values.mean(), resampled_means(values, seed=0)[:, 0])
    half = 1.96 * values.std() / np.sqrt(400)
    assert estimate.low == pytest.approx(estimate.value - half, abs=0.01)
    assert estimate.high == pytest.approx(estimate.value + half, abs=0.01)


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
    # Two opposite directions in equal numbers: cosines are 1 and -1, all variance on one axis.
    line = isotropy(np.array([[1.0, 0.0], [-1.0, 0.0]] * 50))
    assert line.mean == pytest.approx(-1 / 99, abs=0.02)
    assert (line.spread, line.top_component) == pytest.approx((1, 1), abs=0.001)
    # All vectors the same.
    point = isotropy(np.array([[3.0, 4.0]] * 10))
    assert (point.mean, point.spread, point.top_component) == (1, 0, 1)
    # Both directions of four axes in equal numbers: isotropic, a quarter of the variance on each.
    axes = isotropy(np.concatenate([np.eye(4), -np.eye(4)] * 20))
    assert axes.mean == pytest.approx(0, abs=0.02)
    assert axes.spread == pytest.approx(0.5, abs=0.02)
    assert axes.top_component == 0.25


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
    reversed_index = Index(paths.existing_index("backwards"))
    settings = Settings(queries=10, pool=30)
    tasks, reversed_tasks = (sample_tasks(index, settings) for index in (small, reversed_index))
    ids, reversed_ids = np.array(ids_of(small)), np.array(ids_of(reversed_index))
    for task, reversed_task in zip(tasks, reversed_tasks, strict=True):
        texts = [query.text for query in task.queries]
        assert texts == [query.text for query in reversed_task.queries]
        assert set(ids[task.rows]) == set(reversed_ids[reversed_task.rows])
        assert (len(task.queries), len(task.rows)) == (10, 30)
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
        ('{"relevant": ["1905.08667"]}', ":1: not a judgement"),
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
    # If the query's own paper counted as a hit, it would be first and its neighbour second.
    neighbour = small.search(small.vector(0)[None], 2)[1][0][1]
    judgements = [Judgement(ids[0], None, {ids[neighbour]: 1, ids[0]: 1})]
    report = report_of(small, Settings((JUDGEMENTS,)), judgements)
    (task,) = report.tasks
    assert task.task.queries[0].text == small.corpus.papers([0])[0].text
    dense = next(result for result in task.results if result.mode == "dense")
    assert dict(zip(MEASURES, dense.values[0], strict=True)) == dict.fromkeys(MEASURES, 1.0)


def test_a_paper_that_asks_in_words_is_not_an_answer(small: Index, tmp_path: Path) -> None:
    ids = ids_of(small)
    words = small.corpus.papers([0])[0].title
    path = tmp_path / "judged.jsonl"
    path.write_text(json.dumps({"id": ids[0], "query": words, "relevant": ids[1:3]}) + "\n")
    judgements = read_judgements(path)
    assert judgements == [Judgement(ids[0], words, {ids[1]: 1, ids[2]: 1})]
    everything = Settings((JUDGEMENTS,), pool=len(small))
    (task,) = sample_tasks(small, everything, judgements)
    [query] = task.queries
    assert (query.text, query.row) == (words, None)
    assert task.rows[query.place] == 0
    result = report_of(small, everything, judgements).tasks[0].results[0]
    without = [Judgement(None, words, judgements[0].relevant)]
    counted = report_of(small, everything, without).tasks[0].results[0]
    # Its own title finds it first; where it does not count, all others are one place higher.
    assert result.values[0, MEASURES.index("MRR@10")] > counted.values[0, MEASURES.index("MRR@10")]
    unknown = [Judgement("2601.16919", words, judgements[0].relevant)]
    assert sample_tasks(small, everything, unknown)[0].queries[0].place is None


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
    notes = run(*options).stderr
    assert "3 of 5 judged ids are not in the index: 1905.08667, 2601.16919, 9912.34567" in notes
    assert "1 of 2 queries are left out" in notes
    path.write_text('{"id": "2601.16919", "relevant": ["1905.08667"]}\n')
    error = run(*options, code=2).stderr
    assert "no judgement can be used" in error
    assert len(error.splitlines()) == 1


# --- the whole ----------------------------------------------------------------------------------


def test_words_find_what_shares_them_and_every_mode_is_reported(small: Index) -> None:
    report = report_of(small, Settings())
    for task in report.tasks:
        assert [result.mode for result in task.results] == ["lexical", "dense", "hybrid"]
        for result in task.results:
            for name, estimate in result.estimates.items():
                assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1, name
    titles = report.tasks[0].results[0]
    assert titles.estimates["R@1"].value > 0.9  # a title is the beginning of its abstract


def test_dense_scores_are_those_of_a_scan_over_the_vectors_of_the_index(small: Index) -> None:
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


def test_two_runs_write_the_same_json(run: Run, small: Index) -> None:
    options = ["eval", "small", "--queries", 20, "--json"]
    first, second = run(*options), run(*options)
    assert first.stdout == second.stdout
    record = json.loads(first.stdout)
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

    sources = [Path(source) for source in small.manifest.corpus.sources]
    build(tmp_path / "titled", sources, Selection(), titled, load)
    titled_index = Index(tmp_path / "titled")
    assert not np.allclose(
        np.asarray(titled_index.vectors)[0], np.asarray(small.vectors)[0], atol=1e-2
    )
    results, titled_results = (
        report_of(index, Settings((TITLE,))).tasks[0].results for index in (small, titled_index)
    )
    for result, titled_result in zip(results, titled_results, strict=True):
        assert np.array_equal(result.values, titled_result.values)


def test_another_encoder_gets_the_same_queries_and_its_difference_is_tested(
    run: Run, small: Index, tiny_llama: Path, tmp_path: Path
) -> None:
    second_llama = make_llama(tmp_path / "other", seed=1)
    rows = [
        line.split("\t")
        for line in run(
            "eval", "small", "--task", "title", "--against", tiny_llama, "--against", second_llama
        ).stdout.splitlines()
    ]
    same = [row for row in rows if row[:3:2] == ["title", str(tiny_llama)]]
    assert len(same) == 2 * len(MEASURES)
    assert all(row[7:] == ["+0.0000", "+0.0000", "+0.0000", "no clear difference"] for row in same)
    different = [row for row in rows if row[2] == str(second_llama) and row[0] == "title"]
    assert {len(row) for row in different} == {11}
    assert [row[3] for row in rows if row[0] == "isotropy"][:3] == [
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
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("astrosearch:")]
    assert "worse than" in line
    assert "dense: nDCG@10" in line
    assert "lexical" not in line  # the words are the same


def test_a_gate_needs_the_same_sample_and_its_error_says_what_to_do(
    run: Run, small: Index, tmp_path: Path
) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--task", "title", "--queries", 10, "--save", saved)
    gate = ("--gate", saved)
    error = run("eval", "small", "--task", "title", "--queries", 20, *gate, code=2).stderr
    assert "queries 10, not 20: use the same settings" in error
    error = run("eval", "small", "--queries", 10, *gate, code=2).stderr
    assert "has the tasks title, this run has title, half: run the same tasks" in error
    record = orjson.loads(saved.read_bytes())
    record["tasks"][0]["sample"] = "0" * 32
    saved.write_bytes(orjson.dumps(record))
    error = run("eval", "small", "--task", "title", "--queries", 10, *gate, code=2).stderr
    assert "the index's papers or the judgements have changed" in error
    for text in ("{}", "[1]", "not JSON", '{"format": "astrosearch-eval-0", "tasks": []}'):
        saved.write_text(text)
        error = run("eval", "small", *gate, code=2).stderr
        assert "is not a report in the format astrosearch-eval-1" in error


def test_a_gate_is_refused_if_a_saved_mode_was_not_measured(
    run: Run, small: Index, tmp_path: Path
) -> None:
    saved = tmp_path / "before.json"
    options = ("eval", "small", "--task", "title", "--queries", 10)
    run(*options, "--save", saved)
    whole = saved.read_bytes()
    for mode, advice in (("rerank", "measure with --rerank, too"), ("mean", "same options")):
        record = orjson.loads(whole)
        results = record["tasks"][0]["results"]
        results.append(results[-1] | {"mode": mode})
        saved.write_bytes(orjson.dumps(record))
        result = run(*options, "--gate", saved, code=2)
        assert f"has {mode} for task title, this run does not" in result.stderr
        assert advice in result.stderr
        assert "Not worse" not in result.stderr


def test_a_damaged_report_is_refused(run: Run, small: Index, tmp_path: Path) -> None:
    saved = tmp_path / "before.json"
    run("eval", "small", "--task", "title", "--queries", 10, "--save", saved)
    whole = saved.read_bytes()

    def result(record: dict[str, Any]) -> dict[str, Any]:
        first: dict[str, Any] = record["tasks"][0]["results"][0]
        return first

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
    error = run("eval", "small", "--task", "title", "--queries", 3, "--gate", saved, code=2).stderr
    assert "3 queries: a gate needs at least 10" in error


def test_a_report_that_cannot_be_saved_is_an_error_before_anything_is_measured(
    run: Run, small: Index, tmp_path: Path
) -> None:
    result = run("eval", "small", "--save", tmp_path / "nowhere" / "x.json", code=2)
    assert "cannot be written" in result.stderr
    assert not result.stdout


def test_notes_say_how_many_queries_there_are_and_how_large_the_pool_is(
    run: Run, small: Index
) -> None:
    notes = run("eval", "small", "--task", "title").stderr
    assert "title: only 60 papers available; using all (1,000 queries requested)" in notes
    notes = run("eval", "small", "--task", "title", "--pool", 20, "--queries", 10).stderr
    assert "the pool is 20 of 60 papers" in notes


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
    estimate = report.tasks[0].results[0].estimates["MRR@10"]
    assert f"{estimate.value:.3f}" in text
    assert f"{estimate.low:.3f}–{estimate.high:.3f}" in text
