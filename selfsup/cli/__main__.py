"""``python -m selfsup.cli``: the command line without its script."""

from selfsup.cli import main

raise SystemExit(main())
