"""`python -m training …` is `astrosearch train …`, in a process of several too."""

import sys

from astrosearch.cli import main
from training.cli import train

if __name__ == "__main__":
    main.add_command(train)  # from a checkout too, where no entry point names it
    main(["train", *sys.argv[1:]], prog_name="astrosearch")
