"""Verbs about who is let in by the daemon's port."""
