"""Importing twenty million references, against pandas and scipy.sparse on the same file.

The references are made up, in the layout and of the size of citations_indexed.jsonl.gz and
identifier_mapping_all.csv.gz of AstroMLab-5: 408,590 papers that cite 52 works each, of 1,668,204,
the earlier and the smaller numbers more often. Ours is `import_files` into an index of the sampler:
identifiers are read and checked, works that are the same are united, both directions are written,
with sha256 sums. The peer reads the numbers of the first file alone, as they are, with pandas in
chunks, and makes a scipy.sparse matrix and its transpose. Each is a process of its own; time and
the peak of its memory are those of the whole process.

    python -m tests.benchmarks.citations --papers 408590
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OURS = """
import sys
from pathlib import Path
from astrosearch.citations.store import import_files
report = import_files(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
print(report.about.references, report.about.works)
"""

PEER = """
import sys
import numpy as np
import pandas
from scipy.sparse import csr_matrix
rows, columns = [], []
for chunk in pandas.read_json(sys.argv[2], lines=True, chunksize=20_000):
    lengths = chunk["references"].str.len()
    rows.append(np.repeat(chunk["paper_idx"].to_numpy(np.int32), lengths))
    columns.append(np.concatenate([np.array(each, np.int32) for each in chunk["references"]]))
rows, columns = np.concatenate(rows), np.concatenate(columns)
count = int(max(rows.max(), columns.max())) + 1
cites = csr_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count))
cited = cites.T.tocsr()
print(cites.nnz, count)
"""

REFERENCES = 52.2
"""Of a paper, on average."""
EXTERNAL = 3.083
"""Works that are not among the papers, for each paper."""


def make_up(folder: Path, papers: int, seed: int = 0) -> tuple[Path, Path]:
    """The two files, of some number of papers."""
    random = np.random.default_rng(seed)
    works = papers + round(EXTERNAL * papers)
    months = [f"{year % 100:02}{month:02}" for year in range(2007, 2026) for month in range(1, 13)]
    months = months[3:]
    table, graph = folder / "identifier_mapping_all.csv.gz", folder / "citations_indexed.jsonl.gz"
    with gzip.open(table, "wt", compresslevel=1) as stream:
        stream.write("identifier_idx,identifier,type\n")
        for work in range(works):
            if work < papers:
                month = months[work * len(months) // papers]
                name = f"{month}.{work % 9973 + 1:0{5 if month >= '1501' else 4}}"
            else:
                page, rest = work % 9000 + 1000, work // 9000
                name = f"{1930 + rest % 26}ApJ...{rest % 899 + 100}.{page}{chr(65 + rest % 26)}"
            stream.write(f"{work},{name},{'arxiv' if work < papers else 'external_bibcode'}\n")
    with gzip.open(graph, "wt", compresslevel=1) as stream:
        for paper in range(papers):
            count = max(1, int(random.gamma(2.0, REFERENCES / 2)))
            inside = (papers * random.random(round(0.594 * count)) ** 2).astype(int)
            outside = papers + ((works - papers) * random.random(count - len(inside)) ** 3).astype(
                int
            )
            cited = ", ".join(map(str, [*inside.tolist(), *outside.tolist()]))
            citing = ", ".join(map(str, random.integers(papers, size=41).tolist()))
            stream.write(
                f'{{"paper_idx": {paper}, "bibcode": "2020A&A...{paper:06d}..1A", '
                f'"all_bibcodes": [], "references": [{cited}], "citations": [{citing}], '
                f'"num_references": {count}, "num_citations": 41}}\n'
            )
    return graph, table


def measured(code: str, arguments: list[object]) -> tuple[float, float, str]:
    """Seconds, megabytes at the peak, and what was printed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"it ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, said.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=408_590)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ["ASTROSEARCH_HOME"] = name
        subprocess.run([sys.executable, "-m", "astrosearch", "index"], check=True)
        graph, table = make_up(home, arguments.papers)
        print(f"{graph.stat().st_size / 1e6:,.0f} MB and {table.stat().st_size / 1e6:,.0f} MB")
        folder = home / "indexes/sampler"
        ours = measured(OURS, [folder, table, graph])
        size = sum(file.stat().st_size for file in folder.glob("citations-*/*"))
        peer = measured(PEER, [folder, graph])
        for label, (seconds, memory, said) in (("astrosearch", ours), ("pandas, scipy", peer)):
            print(f"{label:14} {seconds:6.1f} s  {memory:6,.0f} MB  references, works: {said}")
        print(f"on disk {size / 1e6:,.0f} MB")
        print(f"ratio: time {peer[0] / ours[0]:.2f}, memory {ours[1] / peer[1]:.2f}")


if __name__ == "__main__":
    main()
