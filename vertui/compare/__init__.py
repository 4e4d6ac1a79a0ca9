"""What a comparison is made into before it is drawn: values, and nothing that knows a screen.

- *noise*: files that change by themselves (`noise`). They are counted in one line and shown when it is unfolded.
- *folder*: a directory with files that differ below it (`folders`); chains of folders with one child are one.
- *change*: one file's part of a patch, whose lines are made when they are looked at (`change`).
- *block*: lines removed, and those added in their place; `words` tells what differs between two of them.
"""
