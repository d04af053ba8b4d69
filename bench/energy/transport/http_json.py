"""JSON over HTTP from a meter: one connection kept open, a short timeout, digest or basic authentication.

A poll every second costs the meter's network energy, so the connection stays open and credentials are sent at once. The
standard library's digest handler knows no SHA-256 before Python 3.14 and opens a connection for each request, so the
few lines of RFC 7616 that meters use are here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from typing import Any, Literal, NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from bench.energy.sensor_base.external_meter import password
from bench.energy.sensor_base.source import SourceUnavailable
from bench.energy.transport.json_path import parse_json

TIMEOUT_S = 2.0
LONGEST_BYTES = 1 << 20
MOST_REDIRECTS = 4
REDIRECTS = (301, 302, 303, 307, 308)
HASHES: dict[str, Callable[[bytes], Any]] = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
Reply = tuple[int, HTTPMessage, bytes]


class StatusError(OSError):
    """A reply that is no 200. The message has what was found, never the query, where a password may be."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Login:
    """A user with a password, and how HTTP carries them."""

    scheme: Literal["basic", "digest", "bearer"]
    user: str
    password: str


class Digest:
    """The client's side of RFC 7616 with ``qop=auth`` or none: the server's nonce is used until it wants another."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.challenge: dict[str, str] = {}
        self.count = 0

    def accept(self, headers: list[str]) -> bool:
        """Take the first challenge that can be answered.

        Args:
            headers: Values of the reply's WWW-Authenticate headers.

        Returns:
            False where there is none.
        """
        for header in headers:
            scheme, _, rest = header.partition(" ")
            try:
                challenge = parse_keqv_list(parse_http_list(rest)) if scheme.lower() == "digest" else {}
            except (ValueError, LookupError):
                continue  # no list of names and values
            known = challenge.get("algorithm", "MD5").upper() in HASHES and {"realm", "nonce"} <= set(challenge)
            if known and "auth" in [word.strip() for word in challenge.get("qop", "auth").split(",")]:
                self.challenge, self.count = challenge, 0
                return True
        return False

    def header(self, uri: str) -> str | None:
        """The Authorization header of the next GET.

        Args:
            uri: Path and query of the request.

        Returns:
            The header's value; None before the first challenge.
        """
        if not self.challenge:
            return None
        name = self.challenge.get("algorithm", "MD5")
        realm, nonce = self.challenge["realm"], self.challenge["nonce"]

        def hashed(*words: str) -> str:
            return str(HASHES[name.upper()](":".join(words).encode()).hexdigest())

        secret, request = hashed(self.login.user, realm, self.login.password), hashed("GET", uri)
        fields = {"username": self.login.user, "realm": realm, "nonce": nonce, "uri": uri}
        bare = f"algorithm={name}"
        if "qop" in self.challenge:
            self.count += 1
            number, client_nonce = f"{self.count:08x}", secrets.token_hex(8)
            fields |= {"response": hashed(secret, nonce, number, client_nonce, "auth", request), "cnonce": client_nonce}
            bare += f", qop=auth, nc={number}"
        else:
            fields["response"] = hashed(secret, nonce, request)
        if "opaque" in self.challenge:
            fields["opaque"] = self.challenge["opaque"]
        return "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items()) + f", {bare}"


class Client:
    """GETs JSON from one address. Decimal fractions stay what was written (``Decimal``), so no digit is lost."""

    def __init__(self, address: str, scheme: str = "http", login: Login | None = None, verify: bool = True) -> None:
        url = urlsplit(address if "://" in address else f"{scheme}://{address}")
        try:
            port = url.port
        except ValueError:
            port = -1
        if url.scheme not in ("http", "https") or not url.hostname or port == -1 or url.query:
            raise SourceUnavailable(f"address {address} is no URL of a meter; write it like {scheme}://192.168.1.50")
        if url.username is not None:
            raise SourceUnavailable(f"the address of {url.hostname} holds a user; give user and password_env beside it")
        self.login, self.verify = login, verify
        self.digest = Digest(login) if login is not None and login.scheme == "digest" else None
        self.moved: dict[str, str] = {}
        """Where the meter has sent a path to, so that each later poll is one request."""
        self.connection: HTTPConnection
        self._point_to(url, url.path.rstrip("/"))

    def _point_to(self, url: SplitResult, prefix: str) -> None:
        """Use another server from here on. ``url`` has a scheme and a host."""
        self.where, self.prefix, host = f"{url.scheme}://{url.netloc}", prefix, str(url.hostname)
        if url.scheme == "https":
            context = ssl.create_default_context()
            if not self.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.connection = HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=context)
        else:
            self.connection = HTTPConnection(host, url.port, timeout=TIMEOUT_S)

    def get(self, path: str) -> Any:
        """Get JSON from the meter.

        Args:
            path: Path and query, after the prefix of the address.

        Returns:
            The parsed JSON, with fractions as Decimal.

        Raises:
            OSError: There is no good reply.
            ValueError: The reply is no JSON.
        """
        status, headers, body = self._send(self._target(path))
        challenged = False
        for _ in range(MOST_REDIRECTS):
            if status == 401 and not challenged and self._accepts(headers):
                challenged = True  # once: some devices lock a user out who is refused too often
            elif status in REDIRECTS:
                self._follow(path, headers.get("Location") or "")
                challenged = False
            else:
                break
            status, headers, body = self._send(self._target(path))
        shown = f"{self.where}{self._target(path).partition('?')[0]}"
        if status != 200:
            raise StatusError(status, f"{shown} answers {status} {_start(body)}")
        try:
            return parse_json(body)
        except ValueError:
            kind = headers.get_content_type() if headers.get("Content-Type") else "bytes"
            raise ValueError(f"{shown} answers {kind} instead of JSON: {_start(body)}") from None

    def _target(self, path: str) -> str:
        return self.moved.get(path, self.prefix + path)

    def _accepts(self, headers: HTTPMessage) -> bool:
        return self.digest is not None and self.digest.accept(headers.get_all("WWW-Authenticate") or [])

    def _follow(self, path: str, location: str) -> None:
        """Take the place that a redirect names. Raises OSError where the password must not follow it."""
        before = f"{self.where}{self._target(path)}"
        try:
            url = urlsplit(urljoin(before, location))
            same_host, port = url.hostname == urlsplit(self.where).hostname, url.port
        except ValueError:
            raise OSError(f"{self.where} redirects to {location[:60]!r}, which is no address") from None
        target = f"{url.scheme}://{url.netloc}"
        if url.scheme not in ("http", "https") or not url.hostname or url.username is not None or port == 0:
            raise OSError(f"{self.where} redirects to {location[:60]!r}, which is no address")
        safe = same_host and not (self.where.startswith("https") and url.scheme == "http")
        if not safe and (self.login is not None or "password=" in path):
            raise OSError(f"{self.where} redirects to {target}, where no password is sent; give that as the address")
        if target != self.where:
            self.close()
            self._point_to(url, self.prefix)
        self.moved[path] = url.path + (f"?{url.query}" if url.query else "")

    def first(self, path: str, kind: str) -> Any:
        """As ``get``, when the meter is opened.

        Args:
            path: Path and query, after the prefix of the address.
            kind: The device that should be at the address, in words.

        Returns:
            The parsed JSON, with fractions as Decimal.

        Raises:
            SourceUnavailable: There is no good reply; says why and what to do.
        """
        try:
            return self.get(path)
        except (OSError, ValueError) as error:
            self.explain(error, kind)

    def explain(self, error: Exception, kind: str) -> NoReturn:
        """Say why the meter gave no good reply, and what to do.

        Args:
            error: What ``get`` raised.
            kind: The device that should be at the address, in words.

        Raises:
            SourceUnavailable: Always.
        """
        status = error.status if isinstance(error, StatusError) else None
        if status in (401, 403):
            refusal = f"refuses user {self.login.user} with the password of password_env" if self.login else "wants a password"
            if self.login is not None and self.login.scheme == "bearer":
                refusal = "refuses the token of token_env"
            why = f"{refusal}; check user and password_env, and that the variable is set where the meter is read"
        elif status is not None or not isinstance(error, OSError):
            raise SourceUnavailable(f"{error}; check that a {kind} is at this address") from None
        elif isinstance(error, ConnectionRefusedError):
            why = f"refuses connections; check that the {kind} is on and that this is its address"
        elif isinstance(error, TimeoutError):
            why = f"does not answer within {TIMEOUT_S:.0f} s; check that the {kind} is on and in this host's network"
        elif isinstance(error, socket.gaierror):
            why = "has a name that is not known here; give the IP address"
        elif isinstance(error, ssl.SSLCertVerificationError):
            why = f"shows a certificate that is not trusted ({error.verify_message}); install it, or use verify: false"
        elif isinstance(error, ssl.SSLError):
            why = f"does not speak TLS ({error.reason}); try http://"
        else:
            why = f"cannot be read ({error}); check that a {kind} is at this address"
        raise SourceUnavailable(f"{self.where} {why}") from None

    def close(self) -> None:
        """Close the connection; the next ``get`` opens another."""
        self.connection.close()

    def _send(self, target: str) -> Reply:
        kept = self.connection.sock is not None
        try:
            return self._exchange(target)
        except ConnectionError:
            if not kept:
                raise
        return self._exchange(target)  # a device may close a connection that was idle: that is no failed reading

    def _exchange(self, target: str) -> Reply:
        headers = {"Accept": "application/json"}
        if self.digest is not None:
            authorization = self.digest.header(target)
        elif self.login is not None and self.login.scheme == "bearer":
            authorization = f"Bearer {self.login.password}"
        elif self.login is not None:
            pair = base64.b64encode(f"{self.login.user}:{self.login.password}".encode()).decode()
            authorization = f"Basic {pair}"
        else:
            authorization = None
        if authorization is not None:
            headers["Authorization"] = authorization
        try:
            self.connection.request("GET", target, headers=headers)
            response = self.connection.getresponse()
            body = response.read(LONGEST_BYTES + 1)
            if len(body) > LONGEST_BYTES:
                raise OSError(f"more than {LONGEST_BYTES} bytes came")
            response.close()
            return response.status, response.msg, body
        except OSError:
            self.close()
            raise
        except HTTPException as error:
            self.close()
            raise OSError(f"no HTTP reply ({type(error).__name__} {_start(str(error).encode())})") from None


def _start(body: bytes) -> str:
    """The beginning of a reply, in one line."""
    words = " ".join(body[:200].decode(errors="replace").split())
    return repr(words[:60]) if words else "(empty)"


def meter_client(
    settings: Mapping[str, Any], scheme: Literal["basic", "digest"] | None, user: str, url: str = "http"
) -> Client:
    """A client for the ``address`` of a meter's entry, with the password that the entry names.

    Args:
        settings: The meter's entry in the inventory.
        scheme: How HTTP carries the password; None where the meter has its own way to send it.
        user: The user where the entry names none.
        url: The scheme of an address without one.

    Returns:
        The client; nothing is sent yet.

    Raises:
        SourceUnavailable: The address is no URL, or the password's variable is not set.
    """
    secret = password(settings)
    login = None if secret is None or scheme is None else Login(scheme, str(settings.get("user", user)), secret)
    return Client(str(settings["address"]), url, login, settings.get("verify", True) is not False)
