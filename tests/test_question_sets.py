"""Question sets as others publish them, read by `eval --judgements`. Their content is made up."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from astrosearch.errors import InputError
from astrosearch.evaluation.qrels import read_judgements
from tests.conftest import Run, kaggle_line

Read = list[tuple[str | None, dict[str, int]]]


def read(path: Path) -> Read:
    judgements = read_judgements(path)
    assert all(judgement.id is None for judgement in judgements)
    return [(judgement.text, judgement.relevant) for judgement in judgements]


def test_questions_about_one_paper_are_read(tmp_path: Path) -> None:
    path = tmp_path / "single_paper.json"
    entries = {
        "2101.00001": {
            "question_abstract": "How thin is the\n disc?",
            "question_conclusion": "Why is it thin?",
        },
        "1108/1108.0037v2_arXiv.txt": {"question": "How old is it?", "introduction": "Long ago."},
        "0702/astro-ph0702424_arXiv.txt": {"question": "How bright is it?", "introduction": ""},
        "astro-ph/9401008v3": {"question": "How near is it?"},
        "1509.00858.txt": {"question_intro": "How dusty is it?"},
    }
    path.write_text(json.dumps(entries, indent=4))
    assert read(path) == [
        ("How thin is the disc?", {"2101.00001": 1}),
        ("Why is it thin?", {"2101.00001": 1}),
        ("How old is it?", {"1108.0037": 1}),
        ("How bright is it?", {"astro-ph/0702424": 1}),
        ("How near is it?", {"astro-ph/9401008": 1}),
        ("How dusty is it?", {"1509.00858": 1}),
    ]


def test_questions_about_several_papers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "multi_paper_sentences.json"
    entries = {
        "1403.0007_5": {
            "title": "A review",
            "question": "Research question: Which surveys are deep?",
            "text": "Some are deep.",
            "citations": [["Berg", "2011"], ["Wu", "Roe", "2006"]],
            "arxiv": ["1010.1164v2", "0605060", "astro-ph/9401008"],
        },
        "1403.0007_6": {"question": " Which are wide?", "arxiv": []},
    }
    path.write_text(json.dumps(entries))
    assert read(path) == [
        (
            "Research question: Which surveys are deep?",
            {"1010.1164": 1, "astro-ph/0605060": 1, "astro-ph/9401008": 1},
        ),
        ("Which are wide?", {}),
    ]


def test_tables_of_questions_and_papers_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "author": "AB",
            "question": "How thick, in km, is the disc?",
            "ideal": "Very",
            "source file ": "https://arxiv.org/abs/1807.06209v4",
            "doi": "https://doi.org/10.1000/x",
        },
        {
            "author": "AB",
            "question": 'What is "it"?',
            "ideal": "Dust; gas",
            "source file ": "https://arxiv.org/abs/2010.00619, arXiv:astro-ph/9401008",
            "doi": "",
        },
    ]
    expected = [
        ("How thick, in km, is the disc?", {"1807.06209": 1}),
        ('What is "it"?', {"2010.00619": 1, "astro-ph/9401008": 1}),
    ]
    for name, separator in (("qa.csv", ","), ("qa.tsv", "\t")):
        path = tmp_path / name
        lines = [list(rows[0]), *(list(row.values()) for row in rows)]
        quoted = [['"' + cell.replace('"', '""') + '"' for cell in line] for line in lines]
        path.write_text("\n".join(separator.join(line) for line in quoted))
        assert read(path) == expected
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "qa.parquet")
    assert read(tmp_path / "qa.parquet") == expected


def test_columns_of_several_papers_count_together(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(
        "Query,Answer,First Relevant Paper,Second Relevant Paper\n"
        "Is it dust?,Yes,https://arxiv.org/abs/1807.06209,1010.1164\n"
        "Is it gas?,No,https://example.org/none,\n"
    )
    assert read(path) == [
        ("Is it dust?", {"1807.06209": 1, "1010.1164": 1}),
        ("Is it gas?", {}),
    ]


def test_an_evaluation_takes_a_question_set_as_it_is(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    source = tmp_path / "papers.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(30)))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    paper = json.loads(kaggle_line(7))
    path = tmp_path / "single_paper.json"
    entries = {
        f"{paper['id']}v2": {"question": f"What is said of number {7}?"},
        "9901.99999": {"question": "What is not there?"},
    }
    path.write_text(json.dumps(entries, indent=4))
    result = run("eval", "--task", "judgements", "--judgements", path, "--format", "json")
    (task,) = json.loads(result.stdout)["tasks"]
    assert task["queries"] == 1
    assert "1 of 2 queries are left out" in result.stderr


def test_a_file_that_is_no_question_set_costs_one_line(tmp_path: Path) -> None:
    for name, text, said in (
        ("set.json", '{"2101.00001": {"answer": "x"}}', "has no question"),
        ("set.json", '{"2101.00001_1": {"question": "x", "arxiv": "y"}}', "not a list"),
        ("set.json", '{"1": {"question": "x"}, "2": "y"}', "'2' is not an object with a question"),
        ("set.csv", "a,b\n1,2\n", "has the columns a, b: one has to be called question"),
        ("set.csv", "question,paper\n,2101.00001\n", "set.csv:2 has no question"),
        ("set.csv", "question,paper\n", "it has no judgements"),
        ("set.parquet", "no parquet", "set.parquet cannot be read"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError, match=said) as error:
            read_judgements(path)
        assert "\n" not in str(error.value)
    (tmp_path / "latin.csv").write_bytes("question,paper\nWas für?,1".encode("latin-1"))
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_judgements(tmp_path / "latin.csv")


def refusal(path: Path, text: str, topics: Path | None = None) -> str:
    """What is said of a file of this text, which has to be one line."""
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_judgements(path, topics)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_name_that_is_there_twice_in_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    said = "set.json: '2101.00001' is there 2 times in one object"
    assert said in refusal(
        path, '{"2101.00001": {"question": "x"}, "2101.00001": {"question": "y"}}'
    )
    said = "'question' is there 2 times"
    assert said in refusal(path, '{"2101.00001": {"question": "x", "question": "y"}}')
    line = '{"query": "x", "relevant": ["2101.00001"]}\n'
    said = "set.json:2: 'relevant' is there 2 times"
    assert said in refusal(path, line + '{"query": "y", "relevant": [], "relevant": []}\n')


def test_only_the_question_of_an_entry_asks(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text('{"2101.00001": {"Question": "How thin?", "question_type": "single"}}')
    assert read(path) == [("How thin?", {"2101.00001": 1})]
    assert "has no question" in refusal(path, '{"2101.00001": {"question_type": "single"}}')


def test_a_row_with_more_cells_than_columns_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "question,paper\nWhy?,2101.00001,\nWhat?,2101.00001,2101.00002\n"
    assert "set.csv:3 has 3 cells, the table 2 columns" in refusal(tmp_path / "set.csv", text)


@pytest.mark.parametrize(
    ("rows", "line"),
    [('Why?,2101.00001\n"What?,2101.00002\nWhen?,2101.00003\n', 2), ('"What" is it?,2101.1\n', 1)],
)
def test_a_quotation_mark_that_swallows_rows_is_refused(
    tmp_path: Path, rows: str, line: int
) -> None:
    said = refusal(tmp_path / "set.csv", "question,paper\n" + rows)
    assert "set.csv is not a table" in said
    assert said.endswith(f"look at the quotation marks behind line {line}")


def test_columns_of_the_same_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    text = "question,paper,paper\nWhat?,2101.00001,2101.00002\n"
    assert "2 columns called paper: give each its own name" in refusal(path, text)
    text = "question,Question ,paper\nWhat?,Why?,2101.00001\n"
    assert "2 columns called question" in refusal(path, text)
    path.write_text("question,note,note,paper\nWhat?,,,2101.00001\n")  # no one reads the notes
    assert read(path) == [("What?", {"2101.00001": 1})]


def test_semicolons_between_columns_are_named_as_the_fault(tmp_path: Path) -> None:
    text = "Question; answer;paper\nWhat, then?;a;2101.00001\n"
    assert "separator has to be a comma" in refusal(tmp_path / "set.csv", text)


def test_cells_without_an_identifier_are_counted_in_a_note(
    run: Run, tmp_path: Path, tiny_llama: Path
) -> None:
    source = tmp_path / "papers.json"
    source.write_text("\n".join(kaggle_line(number) for number in range(30)))
    run("index", "--corpus", source, "--encoder", tiny_llama)
    paper = json.loads(kaggle_line(7))["id"]
    path = tmp_path / "set.csv"
    rows = (f"What?,{paper},see text", f"What?,,Roe (2006) and {paper}", "Why?,10.1000/x,")
    path.write_text("\n".join(("question,paper 1,paper 2", *rows)))
    options = ("eval", "--task", "judgements", "--judgements", path)
    assert "2 cells hold no arXiv identifier" in run(*options).stderr
    path.write_text("question,paper\nWhy?,2101.0001\n")
    (error,) = run(*options, code=2).stderr.splitlines()
    assert error.endswith("1 cell holds no arXiv identifier")


def test_a_topic_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    topics = tmp_path / "topics.tsv"
    topics.write_text("1\tdust\n1 \tgas\n")
    said = refusal(tmp_path / "set.qrels", "1 0 2101.00001 1\n", topics)
    assert "topics.tsv:2: topic 1 is there twice" in said


def test_numbers_of_queries_without_topics_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "set.qrels", "2101.00002 0 2101.00001 1\n1 0 2101.00001 1\n")
    assert "set.qrels:2: query 1 is not an arXiv identifier" in said
    assert "give the topics' texts by --topics FILE" in said


def test_what_is_wrong_with_a_line_of_json_is_said(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    assert ':1: "relevant" is missing: write' in refusal(path, '{"query": "x"}')
    judgements = [{"query": "x", "relevant": ["2101.00001"]}]
    for text in (json.dumps(judgements, indent=1), json.dumps(judgements, indent=1)[:-5]):
        assert "each line has to be one JSON object" in refusal(path, text)
    assert "not a judgement: write in each line" in refusal(path, json.dumps(judgements))
