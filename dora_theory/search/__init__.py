"""Algorithm 1 on worlds whose truth is known: a synthetic tree, and the Game of 24."""
