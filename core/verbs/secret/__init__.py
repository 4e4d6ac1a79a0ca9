"""Verbs about values that are never shown."""
