"""Branches as what other people's agents and harnesses work in: a small module each, with its own optional extra.

starts.py          starts that come together, as one fork
mini_swe_agent.py  its environments
inspect_ai.py      its sandboxes
harbor.py          its environments, on Python 3.12

Nothing else of vertui imports them, and each of the last three imports the package that it is for.

Ray is not among them: its sandboxes (`ray.experimental.sandbox`, alpha in Ray 2.60) have an abstract backend, but their
runtime makes gVisor's by name, and there is no way to give it another.
"""
