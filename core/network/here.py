"""`python -m core.network.here`: the IPv4 addresses of the host, one a line, for whoever asks the porter for them."""

import socket

import psutil


def main() -> None:
    """Print them."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET:
                print(one.address)


if __name__ == "__main__":
    main()
