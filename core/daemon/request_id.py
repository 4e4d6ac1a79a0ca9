"""The header by which a request sent again after a lost connection is known."""

import uuid

from fastapi import Header

RequestId = Header(default_factory=lambda: uuid.uuid4().hex, alias="Request-Id", min_length=1, max_length=64)
