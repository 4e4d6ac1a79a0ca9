"""The daemon, which serves one engine over HTTP, and the clients that speak to it.

client ── HTTP ── daemon ── holder          The holder (`core.holder`) owns namespaces, descriptors and child
                    │          ├ QEMU …     processes; the daemon is one of those children: it may die and be
                    └──────────┴ daemon     replaced while machines run on.
"""
