"""Which records another version of astrosearch reads otherwise.

Both versions read every record of a file. Those whose first author's family name, number of
authors, year or categories differ are written out as JSON Lines, with what each version makes of
them and the raw fields, to be judged one by one; so are those that one version refuses.

    git worktree add /tmp/other 3e4a572
    python -m tests.benchmarks.readings arxiv-metadata-astro.json.gz /tmp/other --out changes.jsonl
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

# Runs with the modules of the version that reads, wherever they were at that time.
READ = """
import gzip, json, sys
try:
    from astrosearch.corpus.records import paper_from_record
    from astrosearch.text.authors import family_name
except ImportError:
    from astrosearch.bibtex import family_name
    from astrosearch.readers.records import paper_from_record
from astrosearch.errors import AstrosearchError

path = sys.argv[1]
with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as stream:
    for line in stream:
        try:
            paper = paper_from_record(json.loads(line))
        except AstrosearchError as error:
            print(json.dumps({"refused": getattr(error, "reason", str(error))}))
            continue
        names = paper.authors
        print(json.dumps({
            "family": family_name(names[0]) if names else "",
            "authors": len(names),
            "year": paper.published.year,
            "categories": list(paper.categories),
            "names": list(names),
        }))
"""


def readings(path: Path, version: Path) -> list[dict[str, Any]]:
    """What the version of astrosearch in a folder makes of each record, in the file's order."""
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(path.resolve())],
        capture_output=True,
        check=True,
        cwd=version,
        env={"PYTHONPATH": str(version.resolve())},
        text=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("other", type=Path, help="a checkout of the other version")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    from astrosearch.corpus.json_lines import json_records

    raw = [json.loads(line) for _, line in json_records(arguments.file)]
    here = Path(__file__).parents[2]
    before, after = (readings(arguments.file, version) for version in (arguments.other, here))
    counts: Counter[str] = Counter()
    with arguments.out.open("w", encoding="utf-8") as stream:
        for record, old, new in zip(raw, before, after, strict=True):
            changed = [
                field
                for field in ("refused", "family", "year", "categories", "authors")
                if old.get(field) != new.get(field)
            ]
            if "refused" in changed:
                changed = ["refused"]
            counts.update(changed)
            if changed:
                fields = ("id", "authors", "categories", "versions", "update_date", "comments")
                change = {
                    "changed": changed,
                    "before": old,
                    "after": new,
                    "record": {field: record.get(field) for field in fields},
                }
                stream.write(json.dumps(change, ensure_ascii=False) + "\n")
    for field, count in counts.most_common():
        print(f"{count:6,} {field}")
    print(f"{len(raw):6,} records")


if __name__ == "__main__":
    main()
