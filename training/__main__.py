"""`python -m training …` is `astrosearch train …`."""

import sys

from astrosearch.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]], prog_name="astrosearch")
