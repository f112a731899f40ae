"""Keys that somebody repeats: how they may be written there, and what stands in their place.

This module does not know whose keys they are.
"""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

MASK = "•••"


def writings(secret: str) -> list[str]:
    """The secret as it is, and as it stands in an address, in JSON, in HTML or in base64."""
    if not secret:
        return []
    in_json = json.dumps(secret)[1:-1]
    found = {secret, quote(secret, safe=""), quote_plus(secret), in_json,
             in_json.replace("/", "\\/"), html.escape(secret)}
    # Base64 writes three bytes at a time, so what stands before, such as "Bearer ", decides which
    # of three ways it is. Of each, the letters that are the secret's alone.
    for before in range(3):
        data = bytes(before) + secret.encode()
        own = slice(-(-before * 8 // 6), len(data) * 8 // 6)
        found |= {packed(data)[own].decode() for packed in (
            base64.b64encode, base64.urlsafe_b64encode)} if len(secret) >= 8 else set()
    return sorted(found, key=len, reverse=True)
