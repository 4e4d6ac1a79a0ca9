"""The header by which a request sent again after a lost connection is known."""

from fastapi import Header

from core.model import new_key

RequestId = Header(default_factory=new_key, alias="Request-Id", min_length=1, max_length=64)
