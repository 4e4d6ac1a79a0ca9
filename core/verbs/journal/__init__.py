"""Verbs about a branch's journal."""
