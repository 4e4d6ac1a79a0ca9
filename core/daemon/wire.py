"""What a stream's binary messages look like, known to both ends."""

import struct

STDOUT, STDERR = 1, 2
HEADER = struct.Struct(">BQ")  # stream, absolute offset
