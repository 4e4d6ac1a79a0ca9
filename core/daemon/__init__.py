"""The processes that stay: holder, daemon, and what speaks to them.

client ── HTTP ── daemon ── holder          The holder owns namespaces, descriptors and child processes;
                    │          ├ QEMU …     the daemon is one of those children: it may die and be replaced
                    └──────────┴ daemon     while machines run on.
"""
