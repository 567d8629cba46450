"""`python -m dora_theory`: the command line."""

from dora_theory.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
