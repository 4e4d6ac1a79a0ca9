"""Keeps one connection to the counter open and asks it five times a second; never connects again.

After each answer STATUS holds {"count", "accepts", "port": our end of the connection, "gaps": answers that were not
one more than the last}. It lies in memory, so that it shows in no diff of the disk.
"""

import json
import os
import socket
import time

from counter import PORT

STATUS = "/dev/shm/caller.json"
INTERVAL_S = 0.2


def connect():
    for _ in range(100):  # the service may be starting still
        try:
            return socket.create_connection(("127.0.0.1", PORT))
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit("the service does not answer")


def main():
    connection = connect()
    answers = connection.makefile()
    last = gaps = 0
    while True:
        connection.sendall(b"hit\n")
        count, accepts = map(int, answers.readline().split())
        gaps += count != last + 1
        last = count
        status = {"count": count, "accepts": accepts, "port": connection.getsockname()[1], "gaps": gaps}
        with open(STATUS + ".new", "w") as file:
            json.dump(status, file)
        os.replace(STATUS + ".new", STATUS)
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main()
