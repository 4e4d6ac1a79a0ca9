"""The verbs of the command line, one noun a module; `vertui.cli` imports the one it needs.

Every module has an `app` holding its verbs. A read verb takes --json; a destructive one shows its plan and asks.
"""
