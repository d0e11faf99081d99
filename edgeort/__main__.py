"""`python -m edgeort`."""

from edgeort.cli import main

main()
