"""Whether an answer is right: `answers`, `correctness`, and `judging` in its own process."""
