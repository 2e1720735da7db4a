"""`python -m segue` is the `segue` command."""

import sys

from .command import main

sys.exit(main())
