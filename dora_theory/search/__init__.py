"""Search in steps (Algorithm 1): `engine` runs it, `tree` and `game24` are its worlds.

`rules` makes a strategy or a user's function a rule of the search, `voting` picks the answer,
`measures` says what a search reached. May import simulation and everything above it.
"""
