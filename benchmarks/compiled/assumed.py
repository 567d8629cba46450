"""What predictions assume of the data."""

# Passes of the search for a level, means of programs as counted on a CPU with the weights of
# `make gpu`: 3.2 to 5.4; with ties 12 to 21, and then one move.
PASSES, TIED_PASSES = 5, 20
