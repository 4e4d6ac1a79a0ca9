"""The terminal UI and the command line: clients of the daemon that `core` is.

cli.py       argv → verb; one module a noun in commands/
app.py       the UI; screens/ and widgets/
lanes.py     the commit graph as rows, for both
output.py    tables and colour for plain terminals and pipes
streaming.py commands in branches: output, input, signals, and going on after the daemon went away
"""
