"""Fit what turns a score into a chance, in a whole index.

How likely a paper is the one that was asked for depends on how many others there are: among a fifth
of them, it is likelier. So requests are put to an index as users put them, with all its papers. The
order stays as it is.
"""

from collections.abc import Sequence
from pathlib import Path

import orjson

from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import Judgement
from astrosearch.report import Reporter
from astrosearch.search.candidates import find_candidates
from astrosearch.search.local_index import LocalIndex
from astrosearch.search.query_parser import ParsedQuery
from astrosearch.search.ranker import Task, read_weights
from astrosearch.search.searcher import DEPTH, Searcher, encode_queries
from training.ranking.fit import fitted_chance
from training.ranking.samples import sample


def check_weights(path: Path, task: Task) -> None:
    """
    Raises:
        InputError: if a file is not one that `train rank` wrote for a task.
    """
    expected = f"give one that `train rank --task {task}` wrote"
    try:
        text = path.read_bytes()
        read_weights(text)
        made_for = orjson.loads(text)["task"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError(f"{path} is not a file of `train rank`: {expected}") from None
    if made_for != task:
        raise InputError(f"{path} was made for --task {made_for}: {expected}")


def with_chances(
    weights: bytes,
    searcher: Searcher,
    judgements: Sequence[Judgement],
    task: Task,
    command: str,
    reporter: Reporter,
) -> bytes:
    """A file of weights with its chance fitted anew.

    Args:
        weights: the file as `train rank` wrote it.
        searcher: of an index whose encoder has not trained on the texts of the judgements.
        judgements: texts, with the papers that answer them.
    """
    function = read_weights(weights)
    papers, samples = LocalIndex(searcher.index), []
    for number, judgement in enumerate(judgements):
        reporter.progress("Signals", number, len(judgements))
        [query] = encode_queries(
            searcher.encoder,
            [ParsedQuery(judgement.text or "")],
            "dense" if task == "dense" else "hybrid",
        )
        candidates = find_candidates(papers, query, DEPTH)
        relevant = {*judgement.relevant}
        samples.append(sample(task, query.words or "", papers, query, candidates, relevant))
    reporter.progress("Signals", len(judgements), len(judgements))
    scores = [function.scores(each.signals) for each in samples]
    record = orjson.loads(weights)
    record["chance"] = fitted_chance(scores, samples)
    record["chance_made_by"] = command
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(record, option=options)
