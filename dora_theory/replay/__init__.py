"""Replay of logged rollouts: readers, the record they all make, and what the record can tell."""
