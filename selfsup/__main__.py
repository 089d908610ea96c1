"""``python -m selfsup``: the command line without its script."""

from selfsup.cli import main

raise SystemExit(main())
