"""`python -m astrosearch`."""

import sys
from pathlib import Path

# `python -m` puts the current folder first on the path, and whatever there has the name of a
# package of ours would be imported in its place.
_first = Path(sys.path[0])
if (
    not sys.flags.safe_path
    and _first.is_dir()
    and not _first.samefile(Path(__file__).parents[1])  # astrosearch is not imported from there
):
    del sys.path[0]

from astrosearch.cli import main  # noqa: E402

main(prog_name="astrosearch")
