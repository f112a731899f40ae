"""Whose is what, without a login: a random name for each browser, in a signed cookie.

    owner = owner_of(cookie) or new_owner()
    set_cookie(sign(owner))

A cookie that this app did not sign names nobody. The secret is PARLEY_COOKIE_SECRET,
which replicas of the app share, or a file in PARLEY_HOME that is made once. This
module knows neither cookies' attributes nor HTTP.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, Signer

from llm import paths
from llm.errors import StorageError

SECRET_FILE = "cookie-secret"
MIN_SECRET_CHARACTERS = 32
MAX_COOKIE_CHARACTERS = 200


def new_owner() -> str:
    """A name that nobody can guess: "browser:" and 32 hexadecimal digits."""
    return f"browser:{secrets.token_hex(16)}"


def sign(owner: str) -> str:
    """The cookie's value for an owner that `new_owner` made.

    Raises `StorageError` where PARLEY_COOKIE_SECRET is too short to keep a secret.
    """
    return _signer().sign(owner).decode("ascii")


def owner_of(cookie: str | None) -> str | None:
    """The owner that a cookie's value names, or None if it was not signed here."""
    if not cookie or len(cookie) > MAX_COOKIE_CHARACTERS or not cookie.isascii():
        return None
    try:
        return _signer().unsign(cookie).decode("ascii")
    except BadSignature:
        return None


def _signer() -> Signer:
    secret = os.environ.get("PARLEY_COOKIE_SECRET")
    if secret is None:
        secret = _own_secret(paths.home() / SECRET_FILE)
    elif len(secret) < MIN_SECRET_CHARACTERS:
        raise StorageError(
            "PARLEY_COOKIE_SECRET is too short: give it at least {least} random "
            'characters, such as those that python -c "import secrets; print(secrets.token_hex())" '
            "prints.",
            least=MIN_SECRET_CHARACTERS,
        )
    return _signer_with(secret)


@functools.lru_cache(maxsize=8)
def _signer_with(secret: str) -> Signer:
    # A variable may hold any bytes, also such as are no text.
    return Signer(secret.encode("utf-8", "surrogateescape"), salt="parley owner",
                  digest_method=hashlib.sha256)


@functools.lru_cache(maxsize=8)
def _own_secret(path: Path) -> str:
    """The secret in the file, made by whichever process comes first.

    Where no file can be made, a secret of this process's own: browsers are known
    again until it ends.
    """
    secret = secrets.token_hex(32)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
        try:
            # A link appears whole or not at all, and never in place of another.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError:
        pass
    try:
        kept = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return secret
    return kept if len(kept) >= MIN_SECRET_CHARACTERS else secret
