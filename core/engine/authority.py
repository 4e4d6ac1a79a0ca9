"""The authority of a home, by whose certificates the swapper is a secret's sites to guests (`core.swap`).

Its key and certificate lie in one file of the home, for this user alone, and are made when they are first needed. All
authorities have one name, since an image knows where to look for it by the hash of that. A guest is told the
certificate when a command of its is given a placeholder, on no disk of its: `env` is what makes programs look there.
"""

import asyncio
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.engine.context import Engine
from core.engine.guests import ASK_DEADLINE_S, output_of
from core.engine.live import Live
from core.engine.own_key import own_key
from core.home import Home
from core.network.addresses import GUEST_ADDRESS, GUEST_RESOLVER, SWAPPER_PORT
from core.network.ties import is_address

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secrets of vertui")])
"""`image/disk.sh` has its hash."""
YEARS, DAYS = 20, 90  # an authority is good for, and a certificate of a site
CERTIFICATE, BUNDLE = "/run/vertui/authority.crt", "/run/vertui/authorities.crt"
TOLD = f"""
umask 022 && mkdir -p /run/vertui && printf %s "$1" > {CERTIFICATE}.new && mv {CERTIFICATE}.new {CERTIFICATE} &&
{{ cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null; cat {CERTIFICATE}; }} > {BUNDLE}.new && mv {BUNDLE}.new {BUNDLE}
"""
PROXY = f"http://{GUEST_RESOLVER}:{SWAPPER_PORT}"
DIRECT = f"localhost,127.0.0.1,::1,{GUEST_ADDRESS},.vertui"  # what is no outside
ENVIRONMENT = {
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), PROXY),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), DIRECT),
    **dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"), BUNDLE),
    **dict.fromkeys(("CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"), BUNDLE),
    "NODE_EXTRA_CA_CERTS": CERTIFICATE,
    "NODE_USE_ENV_PROXY": "1",
}  # fmt: skip
"""What programs go by: OpenSSL's, and those that have lists of their own."""


async def introduce(engine: Engine, live: Live) -> dict[str, str]:
    """Have a guest trust this home's authority, and the environment of a command that is to. GuestFailed, Damaged."""
    pem = await asyncio.to_thread(certificate, engine.home)
    await output_of(live, ("sh", "-c", TOLD, "sh", pem), ASK_DEADLINE_S)
    return ENVIRONMENT


def certificate(home: Home) -> str:
    """The authority's own, as PEM. Damaged, NoRoom, VertuiError."""
    return _own(home)[1].public_bytes(Encoding.PEM).decode()


def signed(home: Home, host: str) -> str:
    """A new key and a certificate of a host, a name or an address, as PEM. Damaged, NoRoom, VertuiError."""
    authority, _ = _own(home)
    key, subject = generate_private_key(SECP256R1()), [x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]
    name = x509.IPAddress(ipaddress.IPv4Address(host)) if is_address(host) else x509.DNSName(host)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        _begun(x509.Name(subject), key, DAYS)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority, SHA256())
    )
    return (_pem(key) + made.public_bytes(Encoding.PEM)).decode()


def _own(home: Home) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    damaged = "no authority of ours: remove it, and the next placeholder makes another"
    return own_key(home.authority, _made, _read, damaged)


def _read(told: bytes) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    key = load_pem_private_key(told, None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("a key of another kind")
    return key, x509.load_pem_x509_certificate(told)


def _made() -> bytes:
    key = generate_private_key(SECP256R1())
    own = (
        _begun(NAME, key, YEARS * 365)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, SHA256())
    )
    return _pem(key) + own.public_bytes(Encoding.PEM)


def _begun(subject: x509.Name, key: EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    """Good since yesterday: a guest's clock may differ."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
