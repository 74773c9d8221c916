"""`python -m simprune` is the command `simprune`."""

from simprune.cli import main

main()
