"""`python -m vertui`: the command line."""

import sys

from vertui.cli import main

if __name__ == "__main__":
    sys.exit(main())
