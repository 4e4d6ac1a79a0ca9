"""Verbs about the store itself."""
