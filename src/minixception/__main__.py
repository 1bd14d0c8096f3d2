"""`python -m minixception` is the command `minixception`."""

import sys

from minixception.commands import main

if __name__ == "__main__":
    sys.exit(main())
