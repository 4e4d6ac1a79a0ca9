"""Frames as a guest would send them, and as it may not: any sender, any protocol."""

import socket
import struct

from core.network.addresses import GATEWAY, GATEWAY_MAC, GUEST_ADDRESS, GUEST_MAC

VNET_HEADER = bytes(10)
SOURCE_PORT = len(VNET_HEADER) + 14 + 20  # where it lies in a frame
SIBLING = "10.77.0.2"


def udp_frame(
    payload: bytes, *, mac: str = GUEST_MAC, source: str = GUEST_ADDRESS, to: str, router: str
) -> bytes:
    """A frame as a guest would send it, with any sender."""
    datagram = struct.pack("!HHHH", 4000, 4001, 8 + len(payload), 0) + payload
    return _ethernet(mac, router, 0x0800, _ipv4(17, source, to, datagram))


def tcp_frame(*, to: str, flags: int, router: str) -> bytes:
    """One TCP segment of the guest's, out of the blue."""
    segment = struct.pack("!HHIIBBHHH", 5000, 443, 1000, 2000, 5 << 4, flags, 65535, 0, 0)
    pseudo = socket.inet_aton(GUEST_ADDRESS) + socket.inet_aton(to) + struct.pack("!BBH", 0, 6, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    return _ethernet(GUEST_MAC, router, 0x0800, _ipv4(6, GUEST_ADDRESS, to, segment))


def arp_frame(*, mac: str, ip: str, to: str) -> bytes:
    """Who has `to`? Tell `ip` at `mac`."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + _mac(mac) + socket.inet_aton(ip)
    return _ethernet(mac, "ff:ff:ff:ff:ff:ff", 0x0806, body + bytes(6) + socket.inet_aton(to))


def _ethernet(source: str, to: str, kind: int, body: bytes) -> bytes:
    return VNET_HEADER + _mac(to) + _mac(source) + struct.pack("!H", kind) + body


def _ipv4(protocol: int, source: str, to: str, body: bytes) -> bytes:
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0) + ends
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def checksum(data: bytes) -> int:
    """Of a header, as IP, ICMP, UDP and TCP have it."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def from_port(frame: bytes, port: int) -> bytes:
    """The same datagram from another port."""
    return frame[:SOURCE_PORT] + struct.pack("!H", port) + frame[SOURCE_PORT + 2 :]


def of_kind(kind: int, body: bytes) -> bytes:
    """A frame of the guest's of any protocol."""
    ends = bytes.fromhex((GATEWAY_MAC + GUEST_MAC).replace(":", ""))
    return VNET_HEADER + ends + struct.pack("!H", kind) + body


FORGED = {
    "MAC": udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC, mac="52:54:00:00:00:01"),
    "IP": udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC, source="10.0.2.99"),
    "the gateway's IP": udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC, source=GATEWAY),
    "a sibling's IP": udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC, source=SIBLING),
    "DHCP": udp_frame(b"", to="255.255.255.255", router="ff:ff:ff:ff:ff:ff", source="0.0.0.0"),
    "IPv6": of_kind(0x86DD, bytes([0x60, 0, 0, 0, 0, 0, 59, 64]) + socket.inet_pton(socket.AF_INET6, "fe80::1") * 2),
    "IP in IPv6's place": of_kind(0x86DD, udp_frame(b"", to=GATEWAY, router=GATEWAY_MAC)[24:]),
    "PPPoE": of_kind(0x8863, bytes(40)),
    "too short": VNET_HEADER + bytes(14),
}  # fmt: skip
"""None of these is the guest's own."""
