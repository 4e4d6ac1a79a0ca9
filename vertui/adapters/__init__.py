"""Branches as what other people's agents and harnesses work in: a small module each, with its own optional extra.

Nothing of vertui imports them, and each imports the package that it is for.
"""
