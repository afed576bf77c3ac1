"""How the order of hits is learnt: samples, the fit, the file that it writes."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from astrosearch import paths
from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import Judgement
from astrosearch.evaluation.split import is_held_out
from astrosearch.index.reader import Index
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.paper_index import EncodedQuery
from astrosearch.search.ranker import read_weights
from astrosearch.search.signals import SignalTable, word_signals
from tests.conftest import Run
from tests.reporters import Lines
from training.ranking.fit import as_json, fit
from training.ranking.samples import (
    FEW,
    MANY,
    Sample,
    _usable,
    named_topics_of,
    requests_of,
    topics_of,
)


def made_up(count: int, *, relevant: int = 1, seed: int = 0) -> list[Sample]:
    """Queries of 20 candidates; the relevant ones have a higher `cosine`, and nothing else tells
    them apart."""
    generator = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        is_relevant = np.arange(20) < relevant
        order = generator.permutation(20)
        columns = {
            name: generator.normal(0.5, 0.1, 20) for name in ("bm25", "recall", "title_cosine")
        }
        columns["cosine"] = generator.normal(0.3, 0.1, 20) + 0.25 * is_relevant
        signals = SignalTable([str(place) for place in range(20)], columns).take(order)
        means = generator.normal(0, 1, 20)
        samples.append(Sample("related", str(number), signals, is_relevant[order], relevant, means))
    return samples


def test_what_tells_relevant_papers_apart_is_learnt_and_is_better_than_chance() -> None:
    fitted = fit(made_up(300), "related", ["related"])
    [(name, count, before, after, difference)] = fitted.rows
    assert (name, count) == ("related", 300)
    assert before.value < 0.25
    assert after.value > 0.7
    assert difference.low > 0.4
    size = {
        name: sum(abs(each.weight) for each in fitted.weights.features if each.signal == name)
        for name in ("cosine", "bm25", "title_cosine")
    }
    assert size["cosine"] > 10 * max(size["bm25"], size["title_cosine"])


def test_a_chance_is_how_often_papers_of_such_a_score_are_relevant() -> None:
    weights = fit(made_up(400, relevant=3), "related", ["related"]).weights
    chances, relevant = [], []
    for sample in made_up(400, relevant=3, seed=1):  # queries that were not fitted on
        chances.append(weights.chances(weights.scores(sample.signals), sample.signals))
        relevant.append(sample.relevant)
    chance, is_relevant = np.concatenate(chances), np.concatenate(relevant)
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.7), (0.7, 1.0)):
        alike = (chance >= low) & (chance < high)
        assert alike.sum() > 50
        assert is_relevant[alike].mean() == pytest.approx(chance[alike].mean(), abs=0.08)


def test_a_file_of_weights_is_read_as_it_was_written() -> None:
    weights = fit(made_up(30), "related", ["related"]).weights
    text = as_json(weights, "related", "astrosearch train rank x")
    assert json.loads(text)["made_by"] == "astrosearch train rank x"
    assert read_weights(text) == weights


def test_topics_are_pieces_of_titles_that_several_papers_of_the_fold_have(
    words_index: Index,
) -> None:
    topics = topics_of(words_index, 1, 20)
    papers = {paper.id: paper for paper in words_index.corpus}
    for topic in topics:
        assert topic.text
        assert FEW <= len(topic.relevant) <= MANY
        for paper_id in topic.relevant:
            assert is_held_out(paper_id, 1)
            assert topic.text in papers[paper_id].title.lower()
    assert topics_of(words_index, 1, 20) == topics


def test_a_designation_of_a_title_is_asked_for_with_a_word_of_the_abstract(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    ids = [name for name in (f"2401.{number:05}" for number in range(400)) if is_held_out(name, 1)]
    lines = [
        {
            "id": name,
            "title": f"What GD-{number % 4} and others are (paper {number})",
            "abstract": f"Gaps in GD-{number} and tidal {'streams' if number % 8 else 'clouds'}.",
        }
        for number, name in enumerate(ids[:30])
    ]
    source = tmp_path / "papers.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run("index", "named", "--corpus", source, "--encoder", trained / "embed")
    index = Index(paths.existing_index("named"))
    judgements = named_topics_of(index, 1, 20)
    papers = {line["id"]: line for line in lines}
    assert len(judgements) == 20
    for judgement in judgements:
        [name] = re.findall(r"GD-\d", judgement.text or "")
        word = (judgement.text or "").replace(name, "").strip()
        assert word in {"gaps", "tidal", "streams"}  # fewer papers than RAREST have clouds
        assert set(judgement.relevant) == {
            paper_id
            for paper_id, paper in papers.items()
            if f"{name} " in paper["title"] and word in paper["abstract"].lower()
        }
    assert {(judgement.text or "").startswith("GD") for judgement in judgements} == {True, False}
    assert named_topics_of(index, 1, 5) == judgements[:5]
    assert named_topics_of(index, 2, 5) == []

    local = LocalIndex(index)
    signals = word_signals(EncodedQuery("tidal gaps in GD-3"), local, [*papers])
    in_title = ["GD-3 " in each["title"] for each in lines]
    anywhere = ["GD-3 " in each["title"] + each["abstract"] for each in lines]
    np.testing.assert_allclose(signals["title_names"], in_title)
    np.testing.assert_allclose(signals["names"], anywhere)
    # All have gaps in GD, no one tidal gaps; GD-3 is in the title or the abstract.
    pairs = signals["pairs"]
    assert 0 < pairs[4] < pairs[3] == pairs[7] < 1
    assert word_signals(EncodedQuery("gaps"), local, [*papers]) == {}
    assert word_signals(EncodedQuery(), local, [*papers]) == {}
    [paper] = local.papers([ids[3]])
    assert word_signals(EncodedQuery("GD-3", papers=(paper,)), local, [*papers]) == {}


def requests_file(index: Index, path: Path) -> Path:
    """Requests for the papers of folds 0 and 1."""
    lines = [
        {"id": paper.id, "question": f"which {words}", "keywords": words, "need": f"a {words}"}
        for paper in index.corpus
        if is_held_out(paper.id, 0) or is_held_out(paper.id, 1)
        for words in [" ".join(paper.abstract.split()[3:9])]
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def cited_file(index: Index, path: Path) -> Path:
    """Thirty training papers, each with one that it cites."""
    ids = [paper.id for paper in index.corpus if not is_held_out(paper.id)]
    path.write_text(
        "".join(
            json.dumps({"id": later, "relevant": [earlier]}) + "\n"
            for earlier, later in zip(ids[:30], ids[30:60], strict=True)
        )
    )
    return path


def test_only_requests_for_papers_of_the_fold_are_taken(words_index: Index, tmp_path: Path) -> None:
    requests = requests_of(requests_file(words_index, tmp_path / "requests.jsonl"), 1)
    assert {request.form for request in requests} == {"question", "keywords", "need"}
    assert requests
    assert all(is_held_out(request.id, 1) for request in requests)


def test_weights_are_fitted_on_requests_titles_and_topics(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    cited = cited_file(words_index, tmp_path / "cited.jsonl")
    reviews = tmp_path / "reviews.jsonl"
    with reviews.open("w") as file:
        for number, line in enumerate(map(json.loads, cited.read_text().splitlines()[:20])):
            file.write(json.dumps(line | {"query": f"what is known of {number}?"}) + "\n")
    out = tmp_path / "query.json"
    options = ("--task", "query", "--requests", requests, "--titles", 12, "--out", out)
    pairs = ("--pairs", cited, "--pairs", reviews)
    table = run("train", "rank", "words", *options, *pairs).stdout.splitlines()
    assert table[0].split() == ["queries", "weighted", "mean", "learnt", "difference"]
    rows = {line.split()[0]: line.split()[1] for line in table[1:]}
    assert {"question", "keywords", "need", "title", "half"} <= rows.keys()
    assert (rows["cited"], rows["review"]) == ("30", "20")
    made_by = json.loads(out.read_bytes())["made_by"]
    assert "--pairs cited.jsonl --pairs reviews.jsonl" in made_by
    weights = read_weights(out.read_bytes())
    assert {"cosine", "bm25", "recall"} <= {feature.signal for feature in weights.features}
    assert len(weights.outputs) == 8


def test_a_chance_is_fitted_among_all_papers_and_the_order_stays(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    line = ("train", "chance", "words", "--task", "query", "--requests", requests)
    run(*line, "--topics", 0, "--out", tmp_path / "query.json")
    fitted = json.loads((tmp_path / "query.json").read_bytes())
    shipped = json.loads(files("astrosearch.search").joinpath("rankers/query.json").read_bytes())
    assert fitted["features"] == shipped["features"]
    assert fitted["hidden"] == shipped["hidden"]
    assert fitted["chance"] != shipped["chance"]
    assert fitted["chance_made_by"].startswith("astrosearch train chance words --task query")
    run(*line, "--weights", tmp_path / "query.json", "--topics", 0, "--out", tmp_path / "again")
    assert json.loads((tmp_path / "again").read_bytes())["chance"] == fitted["chance"]
    unknown = tmp_path / "unknown.jsonl"
    unknown.write_text(
        json.dumps(dict.fromkeys(("question", "keywords", "need"), "a") | {"id": "9901.00001"})
    )
    refused = run(*line[:-1], unknown, "--out", tmp_path / "none", code=2)
    assert "has no request for a training paper of index words" in refused.stderr


def test_a_chance_is_not_fitted_on_held_out_papers_and_a_notice_counts_them(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    lines = requests.read_text().splitlines()
    held_out = [line for line in lines if is_held_out(json.loads(line)["id"])]
    asked = ("train", "chance", "words", "--task", "query", "--topics", 0, "--requests")
    said = run(*asked, requests, "--out", tmp_path / "all.json").stderr
    count = f"Of {len(lines)} papers with requests, {len(held_out)} are held out and 0 are not in"
    assert count in " ".join(said.split())
    others = tmp_path / "others.jsonl"
    others.write_text("\n".join(line for line in lines if line not in held_out))
    assert "held out" not in run(*asked, others, "--out", tmp_path / "others.json").stderr
    chances = [
        json.loads((tmp_path / name).read_bytes())["chance"] for name in ("all.json", "others.json")
    ]
    assert chances[0] == chances[1]
    requests.write_text("\n".join(held_out))
    refused = run(*asked, requests, "--out", tmp_path / "none", code=2)
    assert "has no request for a training paper of index words" in refused.stderr


def test_weights_of_another_task_or_of_no_task_are_refused(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    weights, out = tmp_path / "weights.json", tmp_path / "out.json"
    dense = files("astrosearch.search").joinpath("rankers/dense.json").read_text()
    for text, said in (
        ("no JSON", "is not a file of `train rank`: give one that `train rank --task query` wrote"),
        ("[5]", "is not a file of `train rank`"),
        ("{}", "is not a file of `train rank`"),
        (dense, "was made for --task dense: give one that `train rank --task query` wrote"),
    ):
        weights.write_text(text)
        line = ("train", "chance", "words", "--task", "query", "--requests", requests)
        refused = run(*line, "--weights", weights, "--out", out, code=2)
        assert said in refused.stderr
    assert not out.exists()


def test_too_few_queries_for_a_cross_validation_are_one_line() -> None:
    for samples in (made_up(3), [replace(each, key="1") for each in made_up(8)]):
        with pytest.raises(InputError, match=r"needs 5 queries or more .* there are [13]: give"):
            fit(samples, "related", ["related"])


def test_judgements_that_are_left_out_are_counted(words_index: Index, tmp_path: Path) -> None:
    ids = list(words_index.corpus.ids())
    held_out = next(each for each in ids if is_held_out(each))
    one, other = [each for each in ids if not is_held_out(each)][:2]
    unknown = next(f"9901.{n:05}" for n in range(1, 99) if not is_held_out(f"9901.{n:05}"))
    pairs = [(one, other), (held_out, one), (unknown, one), (unknown, other), (other, held_out)]
    judgements = [Judgement(paper_id, None, {cited: 1}) for paper_id, cited in pairs]
    said = Lines()
    assert _usable(words_index, judgements, said) == [(one, None, {other})]
    [line] = said
    assert line == (
        "Of 5 judgements, 1 are of held-out papers, 2 of papers that the index lacks, and 1 have "
        "no relevant training paper in it: those are left out."
    )


def test_what_papers_cite_is_fitted_on_training_papers(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    pairs = cited_file(words_index, tmp_path / "cited.jsonl")
    out = tmp_path / "cite.json"
    result = run("train", "rank", "words", "--task", "cite", "--pairs", pairs, "--out", out)
    assert result.stdout.splitlines()[1].split()[:2] == ["cite", "30"]
    assert "shared_authors" in {each.signal for each in read_weights(out.read_bytes()).features}


def test_options_that_do_not_belong_to_a_task_are_refused(
    words_index: Index, run: Run, tmp_path: Path
) -> None:
    requests = requests_file(words_index, tmp_path / "requests.jsonl")
    out = ("--out", tmp_path / "w.json")
    reviews = tmp_path / "reviews.jsonl"
    cited = cited_file(words_index, tmp_path / "cited.jsonl").read_text().splitlines()[0]
    reviews.write_text(json.dumps(json.loads(cited) | {"query": "dust"}) + "\n")
    for options, said in (
        (("--task", "cite", "--pairs", reviews), "takes papers that ask, not queries in words"),
        (("--task", "query"), "--task query takes --requests"),
        (("--task", "cite", "--requests", requests), "--task cite takes --pairs"),
        (("--task", "cite", "--pairs", requests, "--fold", 2), "--fold and --titles have no"),
    ):
        assert said in run("train", "rank", "words", *options, *out, code=2).stderr
    assert not (tmp_path / "w.json").exists()
