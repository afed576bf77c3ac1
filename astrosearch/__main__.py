"""`python -m astrosearch`."""

from astrosearch.cli import main

main(prog_name="astrosearch")
