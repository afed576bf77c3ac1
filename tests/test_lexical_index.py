"""Full-text search: spellings that meet, ranking, conditions, filters, odd questions."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from astrosearch.errors import IndexDamaged
from astrosearch.index.lexical_index import MAX_TERMS, LexicalIndex, LexicalIndexWriter
from astrosearch.text.analysis import analyze, normalize

Papers = Sequence[tuple[str, str, Sequence[str]]]


def written(folder: Path, papers: Papers) -> LexicalIndex:
    writer = LexicalIndexWriter(folder)
    for row, paper in enumerate(papers):
        writer.add(row, *paper)
    writer.finish()
    return LexicalIndex(folder)


def found(index: LexicalIndex, question: str, k: int = 10, **options: object) -> list[int]:
    _, rows = index.search(question, k, **options)  # type: ignore[arg-type]
    return [int(row) for row in rows]


SPELLINGS = [
    ["NGC 1068", "NGC1068", "ngc-1068", "NGC~1068", r"NGC\,1068"],
    ["Hα", "H-alpha", "H alpha", "Halpha", r"$H\alpha$", r"H$_{\alpha}$", r"${\rm H}\alpha$"],
    ["z~7", "z = 7", "z≈7", "z=7", r"$z\sim7$", r"$z \sim 7$", r"$z\approx$ 7", "redshift 7"],
    ["M31", "M 31", "M-31", "Messier 31", "M~31"],
    ["γ-ray", "gamma-ray", "gamma ray", "Gamma Rays", r"$\gamma$-ray", r"$\gamma$ rays"],
    ["ΛCDM", "LCDM", "Lambda-CDM", "Lambda CDM", r"$\Lambda$CDM", r"$\Lambda$-CDM"],
    ["[O III]", "[OIII]", r"\ion{O}{iii}", r"[O\,{\sc iii}]"],
    ["Lyα", "Ly-alpha", "Lyman-α", r"Ly$\alpha$", "Lya"],
    ["X-ray", "x rays", "Xray"],
    ["21cm", "21 cm", "21-cm"],
    ["3C 273", "3C273"],
    ["M⊙", r"M$_\odot$", r"$M_{\odot}$", r"\msun"],
    ["13CO", r"$^{13}$CO"],
    ["supernova", "supernovae", "Supernovas"],
    ["galaxy", "galaxies", "GALAXY"],
    ["colour", "colors"],
    ["galaxy centre", "galaxy center"],
    ["ionised", "ionized", "ionization", "ionisation"],
    ["grey", "gray"],
    ["modelling", "modeling", "models"],
    ["disc", "disks"],
    ["spectrum", "spectra"],
    ["Jørgensen", r"J{\o}rgensen", r"J\o rgensen"],
    ["Müller", r"M{\"u}ller", "Muller"],
]


@pytest.mark.parametrize("spellings", SPELLINGS, ids=lambda some: some[0])
def test_the_spellings_of_one_thing_find_each_other(tmp_path: Path, spellings: list[str]) -> None:
    texts = [f"We observe {one} in detail." for one in spellings]
    index = written(tmp_path / "words", [("A title", text, []) for text in texts])
    everyone = list(range(len(texts)))
    for spelling in spellings:
        assert sorted(found(index, spelling)) == everyone, spelling
    same = spellings if "redshift" not in spellings[-1] else spellings[:-1]
    for one, other in permutations(range(len(same)), 2):
        if not {"Messier 31", "Lyman-α"} & {same[one], same[other]}:
            assert analyze(same[one]).terms == analyze(same[other]).terms


@pytest.mark.parametrize(
    ("spelling", "others"),
    [
        ("NGC 1068", ["NGC 4151", "object 1068 of the NGC"]),
        ("M 31", ["M 33", "31 stars of type M"]),
        ("z~7", ["z~6", "7 galaxies along z"]),
        ("Hα", ["Hβ", "alpha elements and H"]),
        ("Messier 31", ["M33", "M32"]),
    ],
)
def test_a_name_is_told_from_names_that_share_its_parts(
    tmp_path: Path, spelling: str, others: list[str]
) -> None:
    spelt = next(some for some in SPELLINGS if spelling in some)
    index = written(
        tmp_path / "words",
        [("", f"We study {one} here", []) for one in [*others, *spelt]],
    )
    best = found(index, spelling, k=len(spelt))
    assert not set(best) & set(range(len(others)))


def test_words_are_cut_finely_and_names_joined() -> None:
    simple, compounds = analyze(r"Colours of the $\gamma$-ray source NGC1068 (10,000 s).")
    assert simple == "color of the gamma ray sourc ngc 1068 10000 s".split()
    assert compounds == ["gammaray", "ngc1068"]


def test_rare_words_and_neighbours_rank_first_and_ties_by_row(tmp_path: Path) -> None:
    index = written(
        tmp_path / "words",
        [
            ("", "stars and gas and dust", []),
            ("", "tails of gas that are tidal", []),
            ("", "gas and tidal tails of stars", []),
            ("", "stars and gas and dust", []),
        ],
    )
    assert found(index, "tidal tails") == [2, 1]
    assert found(index, "stars and gas and dust")[:2] == [0, 3]
    scores, _ = index.search("stars and gas and dust", 4)
    assert scores.dtype == np.float32
    assert scores[0] == scores[1] > scores[2]
    assert found(index, "dust", k=1) == [0]


def test_without_pairs_words_count_the_same_wherever_they_stand(tmp_path: Path) -> None:
    papers = [("stars of dust and gas", "", ()), ("dust gas of and stars", "", ()), ("sun", "", ())]
    index = written(tmp_path / "words", papers)
    assert found(index, "dust gas", fields=("title",)) == [1, 0]
    scores, rows = index.search("dust gas", 10, fields=("title",), pairs=False)
    assert rows.tolist() == [0, 1]
    assert scores[0] == scores[1]
    assert found(index, "dust gas", pairs=False, allowed=np.array([1])) == [1]
    assert found(index, "dust gas", 1, pairs=False) == [0]
    for nothing in (found(index, "", pairs=False), found(index, "dust", 0, pairs=False)):
        assert nothing == []


@pytest.mark.parametrize("repeat", [1, 500])
def test_what_a_row_has_of_the_pairs_and_names_of_a_question_is_a_share(
    tmp_path: Path, repeat: int
) -> None:
    """With few papers, and with so many for each row that clauses are put one around the other."""
    papers = [
        ("The GD-1 stream", "a gap is in GD-1", ["G. Gap"]),
        ("A white dwarf", "GD 1400 has 1 gap", []),
        ("Gaps in streams", "of NGC 1068 and GD1", []),
        ("Tidal", "stream of stars", []),
    ]
    index = written(tmp_path / "words", papers * repeat)
    rows = np.array([3, 0, 2, 1])

    def shares(question: str, *fields: str) -> list[list[float] | None]:
        chosen = fields or ("title", "abstract", "authors")
        both = index.pair_shares(question, rows, chosen), index.name_shares(question, rows, chosen)
        return [None if each is None else each.round(4).tolist() for each in both]

    def rarity(papers: int) -> float:
        return float(np.log(1 + ((4 - papers) * repeat + 0.5) / (papers * repeat + 0.5)))

    # Three papers have gd and 1, two have gap in the abstract, one has ngc1068.
    name, gap = 2 * rarity(3), rarity(3) + rarity(2)
    share = name / (name + gap)
    pairs, names = shares("GD-1 gap")
    assert pairs == pytest.approx([0, share, share, 1 - share], abs=1e-4)
    assert names == [0, 1, 1, 0]
    share = rarity(2) / (rarity(1) + rarity(2))
    assert shares("NGC 1068 and GD-1")[1] == pytest.approx([0, share, 1, 0], abs=1e-4)
    # What no paper has counts nothing.
    assert shares("GD-1 and NGC 9999")[1] == [0, 1, 1, 0]
    # Function words may stand between two neighbours, in both texts as far apart.
    assert shares("stream of the stars")[0] == [0, 0, 0, 0]
    assert shares("streams of stars")[0] == [1, 0, 0, 0]
    assert shares("GD-1", "abstract") == [[0, 1, 1, 0], [0, 1, 1, 0]]
    assert shares("gap") == shares("quasar jets of 3C 273") == shares("") == [None, None]
    nothing = index.pair_shares("GD-1 gap", rows[:0])
    assert nothing is not None
    assert not len(nothing)


def test_fields_are_searched_as_asked(tmp_path: Path) -> None:
    index = written(
        tmp_path / "words",
        [
            ("Black hole spin", "We revisit it", ["Fabian Hofmann", "Enrico Barausse"]),
            ("Other things", "The spin of a black hole", ["J. Young"]),
            ("Young stars", "Hofmann's method", ["A. Lee"]),
        ],
    )
    assert found(index, "hofmann", fields=("authors",)) == [0]
    assert found(index, "black hole", fields=("title",)) == [0]
    assert found(index, "black hole", fields=("abstract",)) == [1]
    assert found(index, "young stars")[0] == 2
    assert index.rows_matching_phrase("black hole").tolist() == [0, 1]
    assert index.rows_matching_phrase("black hole", ("title",)).tolist() == [0]
    assert index.rows_matching_phrase("hole black").tolist() == []
    assert index.rows_matching_phrase("hofmann", ("abstract",)).tolist() == [2]
    assert index.rows_matching_phrase("🙂").tolist() == []


@pytest.mark.parametrize("share", [1, 2, 7, 100, 3000])
def test_allowed_rows_are_found_at_any_selectivity(
    tmp_path_factory: pytest.TempPathFactory, share: int
) -> None:
    index = many(tmp_path_factory)
    allowed = np.arange(share - 1, len(index), share)
    everything, rows = index.search("gas 7", len(index))
    kept = np.isin(rows, allowed)
    scores, some = index.search("gas 7", 20, allowed)
    assert len(some) == min(20, len(allowed))
    # Every paper has the gas, those that have the 7 come first; ties are in the order of rows.
    np.testing.assert_allclose(scores, everything[kept][: len(some)], rtol=1e-4)
    assert some.tolist() == rows[kept][: len(some)].tolist()
    assert found(index, "gas", allowed=np.zeros(0, np.int64)) == []


_MANY: list[LexicalIndex] = []


def many(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    """6,000 papers on gas, every 13th with a 7; made once."""
    if not _MANY:
        papers: Papers = [("", f"gas {'7' if row % 13 == 0 else 'x'}", []) for row in range(6000)]
        _MANY.append(written(tmp_path_factory.mktemp("many") / "words", papers))
    return _MANY[0]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("", []),
        ("   ", []),
        ("🙂 🔭", []),
        ('"', []),
        (":", []),
        ("[ ] ( ) { } \\ ^ ~ * ? + - ! / |", []),
        ("\\", []),
        ("$", []),
        ("AND OR NOT", []),
        ("the of", [0, 1]),
        ('gas" AND title:(', [0]),
        ("gas \\alpha_{", [0]),
        ("\x00 gas \ud800".encode(errors="replace").decode(), [0]),
    ],
)
def test_odd_questions_are_no_errors(tmp_path: Path, question: str, expected: list[int]) -> None:
    index = written(
        tmp_path / "words", [("On the gas", "of the dust", []), ("Of stars", "the sun", [])]
    )
    assert sorted(found(index, question)) == expected


def test_a_question_of_5000_words_counts_its_rarest(tmp_path: Path) -> None:
    common = [f"common{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(MAX_TERMS)]
    papers: Papers = [("", " ".join(common), []) for _ in range(5)] + [("", "magnetar", [])]
    index = written(tmp_path / "words", papers)
    question = " ".join([*common, *(f"unknown{i}" for i in range(4900)), "magnetar"])
    assert found(index, question)[0:1] == [0]
    assert 5 in found(index, question)
    again = found(index, question)
    assert again == found(index, question)


def test_papers_are_found_by_words_that_are_spelt_alike(tmp_path: Path) -> None:
    titles = ["streams", "steam", "gravitation", "a strange strand", "dust"]
    index = written(tmp_path / "words", [(title, "", []) for title in titles])
    assert index.rows_spelt_like("streem", 9).tolist() == [0]
    assert index.rows_spelt_like("stram", 9).tolist() == [0, 1]
    assert index.rows_spelt_like("gravtatoin", 9).tolist() == [2]
    assert len(index.rows_spelt_like("stram", 1)) == 1
    assert index.rows_spelt_like("", 9).tolist() == []


def test_a_folder_that_is_damaged_is_said_to_be(tmp_path: Path) -> None:
    written(tmp_path / "words", [("A title", "gas", [])])
    shutil.copytree(tmp_path / "words", tmp_path / "nonsense")
    (tmp_path / "nonsense/meta.json").write_text("{")
    with pytest.raises(IndexDamaged, match="nonsense cannot be read"):
        LexicalIndex(tmp_path / "nonsense")
    shutil.copytree(tmp_path / "words", tmp_path / "less")
    next((tmp_path / "less").glob("*.idx")).unlink()
    with pytest.raises(IndexDamaged, match="less cannot be read"):
        LexicalIndex(tmp_path / "less")
    with pytest.raises(IndexDamaged, match="nowhere cannot be read"):
        LexicalIndex(tmp_path / "nowhere")
    for ending in ("term", "idx"):
        shutil.copytree(tmp_path / "words", tmp_path / ending)
        (file,) = (tmp_path / ending).glob(f"*.{ending}")
        content = bytearray(file.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        file.write_bytes(content)
        with pytest.raises(IndexDamaged, match=f"{ending} cannot be read"):
            LexicalIndex(tmp_path / ending).search("gas", 1)


def test_a_folder_that_may_only_be_read_is_searched_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "written", [("A title", "gas", [])])
    # A copy that no thread of the engine watches: those of an index that was open lock it late.
    no_locks = shutil.ignore_patterns(".*.lock")
    shutil.copytree(tmp_path / "written", tmp_path / "words", ignore=no_locks)
    before = sorted(file.name for file in (tmp_path / "words").iterdir())
    (tmp_path / "words").chmod(0o555)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # what a root user is never told
    assert found(LexicalIndex(tmp_path / "words"), "gas") == [0]
    assert sorted(file.name for file in (tmp_path / "words").iterdir()) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("post-merger", "postmerger"),
        ("sub-millimetre", "submillimeter"),
        ("Fe XXV", "FeXXV"),
        ("24 μm", r"24\,$\mu$m"),
        ("24 micron", "24 um"),
        ("a redshift of 7", "z = 7.0"),
        ("tori", "torus"),
        ("multicolour", "multicolor"),
        ("archaeology", "archeology"),
    ],
)
def test_spellings_of_one_thing_share_a_word_that_is_theirs_alone(one: str, other: str) -> None:
    both = set(analyze(one).terms + analyze(one).compounds) & set(
        analyze(other).terms + analyze(other).compounds
    )
    assert both - {"24", "7"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("relativity", "relative"), ("positive", "position"), ("university", "universe")],
)
def test_words_of_another_meaning_keep_apart(one: str, other: str) -> None:
    assert analyze(one).terms != analyze(other).terms


def test_conditions_hold_for_every_way_to_abbreviate_a_name(tmp_path: Path) -> None:
    titles = ["Stars of M31", "Stars of Messier 31", "Mrk 421 flares", "Markarian 421 flares"]
    titles += ["Galaxies at z~7", "Galaxies at redshift 7", "M 33 and 31 stars"]
    index = written(tmp_path / "words", [(title, "We look.", []) for title in titles])
    for phrase in ("M31", "Messier 31"):
        assert index.rows_matching_phrase(phrase).tolist() == [0, 1]
    for phrase in ("Mrk 421 flares", "Markarian 421"):
        assert index.rows_matching_phrase(phrase).tolist() == [2, 3]
    for phrase in ("z~7", "redshift 7"):
        assert index.rows_matching_phrase(phrase).tolist() == [4, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Colours of NGC1068", " colours of ngc 1068"),
        (r"The $\Lambda$CDM model", " the lambda cdm model"),
        ("the ΛCDM model", " the lambda cdm model"),
        (r"M{\"u}ller's H$\alpha$ flux, 10,000 counts", " muller h alpha flux 10000 counts"),
        ("🙂 …", ""),
        ("", ""),
        ("宇宙 waves", " 宇宙 waves"),
    ],
)
def test_a_plain_text_is_its_words_in_lower_case(text: str, expected: str) -> None:
    assert normalize(text) == expected


@pytest.mark.parametrize(
    "question",
    ["gas 7", "stars and gas and dust", "tidal tails", "NGC 1068", "the of", "gas gas tidal gas"],
)
@pytest.mark.parametrize("fields", [("title", "abstract", "authors"), ("abstract",)])
@pytest.mark.parametrize("repeat", [1, 200])
def test_given_rows_have_the_score_that_search_gives_them(
    tmp_path: Path, question: str, fields: tuple[str, ...], repeat: int
) -> None:
    """With few papers, and with so many for each row that clauses are put one around the other."""
    texts = [
        ("Tidal tails", "stars and gas and dust", ["A. Gas"]),
        ("", "tails of gas that are tidal", ["B. Stars"]),
        ("NGC1068", "gas 7 and tidal tails of stars", []),
        ("The NGC", "we look at 1068 dust", []),
        ("", "nothing of it", []),
    ]
    index = written(tmp_path / "words", texts * repeat)
    scores, rows = index.search(question, 20, fields=fields)
    assert len(rows)
    shuffled = np.random.default_rng(0).permutation(len(rows))
    few = index.scores(question, rows[shuffled][:1], fields)
    np.testing.assert_allclose(few, scores[shuffled][:1], rtol=1e-5)
    np.testing.assert_allclose(
        index.scores(question, rows[shuffled], fields), scores[shuffled], rtol=1e-5
    )
    assert index.scores(question, rows[shuffled], fields).dtype == np.float32
    others = np.random.default_rng(1).permutation(len(texts) * repeat)[:7]
    ranking, known = index.search_and_score(question, 20, lambda: others, fields=fields)
    np.testing.assert_allclose(ranking[0], scores, rtol=1e-5)
    assert ranking[1].tolist() == rows.tolist()
    np.testing.assert_allclose(known, index.scores(question, others, fields), rtol=1e-5)


def test_rows_without_a_term_score_zero_and_rows_may_come_twice(tmp_path: Path) -> None:
    index = written(tmp_path / "words", [("", "gas", []), ("", "dust", []), ("", "gas", [])])
    scores = index.scores("gas", np.array([2, 1, 2, 0]))
    assert scores[1] == 0
    assert scores[0] == scores[2] == scores[3] > 0
    assert index.scores("quasar", np.array([0, 1])).tolist() == [0, 0]
    assert index.scores("", np.array([0, 1])).tolist() == [0, 0]
    assert index.scores("gas", np.zeros(0, np.int64)).tolist() == []
    nothing, zeros = index.search_and_score("quasar", 3, lambda: np.array([1, 0]))
    assert [len(part) for part in nothing] == [0, 0]
    assert zeros.tolist() == [0, 0]
    with pytest.raises(IndexError, match="rows 0 to 3 of 3"):
        index.scores("gas", np.array([0, 3]))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize(("room", "outcome"), [(300, "a line"), (1500, "written")])
def test_too_little_memory_for_the_writer_is_a_line(
    tmp_path: Path, room: int, outcome: str
) -> None:
    """In a process of its own: the engine would end it."""
    program = f"""
import resource, sys
from pathlib import Path
from astrosearch.errors import AstrosearchError
from astrosearch.index.lexical_index import LexicalIndexWriter
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {room} * 1_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    writer = LexicalIndexWriter(Path(sys.argv[1]))
    writer.add(0, "gas", "dust", [])
    writer.finish()
    print("written")
except AstrosearchError as error:
    assert "MB of memory" in str(error)
    print("a line")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "words"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout.strip() == outcome


def test_a_question_of_thousands_of_words_is_scored_for_few_papers_of_many(tmp_path: Path) -> None:
    words = [f"w{number}x" for number in range(1500)]
    text = " ".join(words)
    papers: Papers = [("A title", text if row == 7 else "gas", []) for row in range(1200)]
    index = written(tmp_path / "words", papers)
    # With more papers than a thousand for each row, each clause lies in the next.
    scores = index.scores(text, np.array([7]))
    assert scores[0] == pytest.approx(index.scores(text, np.arange(1200))[7], rel=1e-4)
    assert scores[0] > 0
