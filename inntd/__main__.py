"""`python -m inntd` is the command `inntd`."""

import sys

from inntd.cli import main

if __name__ == "__main__":
    sys.exit(main())
