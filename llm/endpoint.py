"""Where an engine on this machine answers, and how its parent looks after it there.

This module does not know processes, or what an engine is asked by others.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llm.errors import EngineError


@dataclass(frozen=True)
class Endpoint:
    """A ready engine's address."""

    base_url: str
    """Up to and including /v1."""
    api_key: str
    model_name: str

    def is_closed(self) -> bool:
        """Whether nobody listens there any more."""
        address = urlsplit(self.base_url)
        try:
            socket.create_connection((address.hostname, address.port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            pass  # Too busy to answer at once.
        return False

    def get_json(self, path: str) -> Any:
        """What the engine answers to GET `path`. Raises `EngineError`."""
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.api_key}"})
            response = connection.getresponse()
            if response.status != 200:
                raise EngineError("The engine answered {path} with {status}.",
                                  path=path, status=response.status)
            return json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EngineError("The engine does not answer {path}.", path=path) from error
        finally:
            connection.close()
