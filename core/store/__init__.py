"""Where commits live. See `protocol.PageStore`; `plain.PlainStore` keeps them as plain files."""
