"""How a claim is tried: drawn, decided, shrunk to a small counterexample, printed."""
