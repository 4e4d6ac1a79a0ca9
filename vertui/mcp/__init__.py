"""What agents are offered by the Model Context Protocol: tools made of the verbs' values, and resources to read.

verb_tools.py   verbs as tools: their fields are the schema, their help the description
tools.py        the other tools: commands, files, differences, journals
desk.py         what they share: the plans that wait to be confirmed, how far work is
toolbox.py      all of them
resources.py    the tree, each branch's changes and journal
server.py       both, spoken by the package `mcp`, which nothing else imports

An agent is told what a plan would do and says so again to have it done. It cannot say what a branch may reach, publish
a port or trust what was imported: that is for whoever started the server. What a guest prints is data in an answer.
"""
