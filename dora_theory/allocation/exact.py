"""Placeholder while the exact optimum is being written."""
