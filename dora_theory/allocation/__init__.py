"""Allocation rules: how many of N rollouts each candidate receives."""
