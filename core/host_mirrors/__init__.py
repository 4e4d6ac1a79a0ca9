"""What of this host's settings lets its programs reach mirrors: read as apt, pip and npm read it, for who asks.

    settings   apt's sources and Acquire options, pip's and npm's files and variables, proxies, certificates
    sieve      what of them means nothing in a guest, and what holds a password: that is left out, and said

Read in the process of the user who asks, whose variables and home these are.
"""

from core.host_mirrors.found import found

__all__ = ["found"]
