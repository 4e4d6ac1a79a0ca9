"""A terminal as a program sees it: bytes that it prints become a screen, keys and mouse become bytes that it reads.

- **cell**: one column of a row. A wide character stands in the first of its two cells, the second is empty.
- **pen**: colours and attributes of a cell, packed into one number.
- **screen**: the rows in view. The alternate one, which full-screen programs ask for, has no history.
- **history**: the rows that left the main screen at its top.
- **line**: a row by its number since the terminal began, so that a place stays the same while others scroll by.
- **answer**: what the terminal says by itself, as where its cursor is.

Whatever is printed is hostile: each byte costs a bounded time, all of it a bounded memory, and no cell holds what an
outer terminal would take for more than a character to show. pyte, which others build on, was looked at and left: it
has neither alternate screen nor mouse, prints what device control strings say, keeps strings and marks without end,
takes private sequences for public ones, and spends a microsecond or more on each character.
"""
