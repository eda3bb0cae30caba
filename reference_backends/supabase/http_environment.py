"""Environment variables that httpx reads (proxies, NO_PROXY, certificates), and errors for bad values.

No message repeats a value: a proxy's URL may hold a password.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from reference_backends.core.errors import ConfigurationError

CLIENT_FAULTS = (httpx.InvalidURL, ValueError, ImportError, OSError)
"""Errors of ``httpx.AsyncClient()`` for bad environment variables. Our arguments cannot cause them."""

_PROXIES = ("all_proxy", "http_proxy", "https_proxy")
_SCHEMES = ("http", "https", "socks5", "socks5h")


def environment_error(fault: BaseException) -> ConfigurationError:
    """Return the error for one of :data:`CLIENT_FAULTS`. Raise it outside the ``except`` block."""
    if isinstance(fault, ImportError):
        return ConfigurationError(
            f"{_named(_socks_proxies())} names a SOCKS proxy, for which httpx needs a package: "
            "pip install 'httpx[socks]', or unset the variable"
        )
    if isinstance(fault, OSError):
        return _tls_error(fault)
    if bad := list(_bad_proxies()):
        return ConfigurationError(
            f"the proxy in {_named(bad)} is not a URL that httpx supports: "
            "write it as http://host:port or socks5://host:port, or unset the variable"
        )
    return ConfigurationError(
        "NO_PROXY holds an entry that httpx cannot read, so no proxy setting can be applied: write host names and "
        "addresses, IPv6 without brackets (::1), and no IPv6 ranges"
    )


def proxy_of(url: str) -> str | None:
    """Return the name of the variable whose proxy httpx uses for a URL; ``None`` if it uses none."""
    parts = urlsplit(url)
    with suppress(OSError, ValueError):
        proxies = getproxies()
        if not parts.hostname or proxy_bypass(parts.hostname):
            return None
        for scheme in (parts.scheme, "all"):
            if proxies.get(scheme):
                names = _set_variables(f"{scheme}_proxy")
                return next(names, "the proxy settings of this system")
    return None


def _tls_error(fault: OSError) -> ConfigurationError:
    key_log = os.environ.get("SSLKEYLOGFILE")
    if key_log and fault.filename == key_log:
        return ConfigurationError("SSLKEYLOGFILE names a file that cannot be written: correct or unset it")
    if os.environ.get("SSL_CERT_FILE"):
        what = "holds no certificate in PEM format" if isinstance(fault, ssl.SSLError) else "cannot be read"
        return ConfigurationError(
            f"the certificate file that SSL_CERT_FILE names {what}: name a file of certificate authorities, "
            "or unset the variable"
        )
    return ConfigurationError(
        "the certificates that this machine trusts cannot be loaded: check SSL_CERT_DIR and OPENSSL_CONF, "
        "and reinstall the package certifi"
    )


def _named(variables: list[str]) -> str:
    return " and ".join(variables) or "the proxy settings of this system"


def _set_variables(*lower: str) -> Iterator[str]:
    """Yield the set variables with one of these names, in upper or lower case."""
    return (name for name, value in os.environ.items() if value and name.lower() in lower)


def _socks_proxies() -> list[str]:
    return [name for name in _set_variables(*_PROXIES) if os.environ[name].lower().startswith("socks")]


def _bad_proxies() -> Iterator[str]:
    for name in _set_variables(*_PROXIES):
        value = os.environ[name]
        try:
            url = httpx.URL(value if "://" in value else f"http://{value}")
        except httpx.InvalidURL:
            yield name
        else:
            if url.scheme not in _SCHEMES:
                yield name
