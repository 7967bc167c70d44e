"""TLS for destinations. Imported only when the first one asks for it: `ssl` costs more than the rest of the agent.

Where the certificate authorities are: `SSL_CERT_FILE` and `SSL_CERT_DIR` win; else a directory of hashed
names, because looking one authority up costs next to nothing; else a bundle.
"""

from __future__ import annotations

import os

from tailrace.errors import ConnectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import ssl
    from collections.abc import Callable, Mapping, Sequence

HASHED_DIRECTORIES = (
    "/etc/pki/ca-trust/extracted/pem/directory-hash",  # Amazon Linux 2023 in its newer images
    "/etc/ssl/certs",  # Debian
    "/etc/pki/tls/certs",
)
BUNDLES = (
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux 2 and 2023
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/ssl/cert.pem",
)


def find_authorities(
    environment: Mapping[str, str],
    list_names: Callable[[str], Sequence[str]] = os.listdir,
    is_file: Callable[[str], bool] = os.path.isfile,
) -> tuple[str | None, str | None]:
    """A bundle and a directory (either may be None) to trust. Raises `ConnectError` where there is neither."""
    cafile, capath = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if cafile or capath:
        return cafile or None, capath or None
    for directory in HASHED_DIRECTORIES:
        if _is_hashed(directory, list_names):
            return None, directory
    for bundle in BUNDLES:
        if is_file(bundle):
            return bundle, None
    raise ConnectError("no certificate authorities found on this system; set SSL_CERT_FILE")


def _is_hashed(directory: str, list_names: Callable[[str], Sequence[str]]) -> bool:
    """Whether it holds names such as ``002c0b4f.0``."""
    try:
        names = list_names(directory)
    except OSError:
        return False
    return any(len(n) == 10 and n.endswith(".0") and not n[:8].strip("0123456789abcdef") for n in names)


def client_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """A context that checks the peer's certificate and host name. Raises `ConnectError`."""
    import ssl

    cafile, capath = find_authorities(environment)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile, capath)
    except OSError as error:
        # ssl.SSLError is an OSError too
        where = f"SSL_CERT_FILE {cafile}" if cafile else f"directory {capath}"
        raise ConnectError(f"certificate authorities cannot be read: {where}") from error
    return context


def wrap(raw: _socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Shake hands over a connected socket, which must have a timeout. Raises `ConnectError`; then `raw` is closed."""
    import socket
    import ssl

    plain = socket.socket(raw.family, raw.type, raw.proto, fileno=raw.fileno())
    plain.settimeout(raw.gettimeout())
    raw.detach()
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        reason = f"certificate of {host} is not accepted: {error.verify_message}"
        raise ConnectError(f"{reason}; SSL_CERT_FILE names authorities of your own") from error
    except TimeoutError as error:
        plain.close()
        raise ConnectError("TLS handshake timed out") from error
    except ssl.SSLError as error:
        plain.close()
        raise ConnectError(f"TLS handshake failed: {error.reason or 'unknown reason'}") from error
    except (OSError, ValueError) as error:
        plain.close()
        raise ConnectError("TLS handshake failed: connection lost") from error
