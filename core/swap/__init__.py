"""Secrets swapped in at egress: a guest has placeholders, and what leaves for a secret's own sites has the values.

Glossary
    site         a server that a secret may be sent to, by TLS unless told otherwise (`core.sites`)
    placeholder  what a guest has in a secret's place: a random word, which means nothing anywhere else
    swap         a secret with its placeholder and its sites; to swap is to put the value in the placeholder's place
    authority    whose certificates guests trust: each home has its own, by which a swapper is the site to them
    swapper      the process that does it, an HTTP proxy; the daemon passes it whoever comes, and is asked by it for …
    way          … a connection to a server, which the daemon makes from within the branch's own network
    visitor      a connection of a guest's, and all that is said over it

    guest ── 10.0.2.3:3128 ── NAT of its namespace ── hub ── daemon accepts ──┐
                                                                           swapper
    server ── way out ── rules of the hub ── the branch's namespace ── way ───┘

What a branch may reach holds for a way as for all that the guest sends, by the same rules: a way leaves from the
branch's namespace, is counted as the branch's, and is cut when the branch may no longer reach its end.

The swapper parses what guests and servers say, and has the values: so it has nothing else. It is in a network namespace
with nothing in it, opens no socket and no file but to read, and is given each connection. Certificates are signed by
the daemon, for a secret's sites alone.

Life cycle: started when a visitor comes, told of every change of secrets, and left when nobody has come for a while or
when the daemon ends; what is being answered then is finished.
"""
