"""Verbs about what was pruned."""
