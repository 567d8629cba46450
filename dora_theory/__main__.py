"""`python -m dora_theory`: the command line."""

from dora_theory.cli import main

raise SystemExit(main())
