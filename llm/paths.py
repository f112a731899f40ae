"""Where Parley keeps its files: weights, the database and logs, under one folder.

This module does not know what is in them.
"""

import os
from pathlib import Path

from platformdirs import user_data_path


def home() -> Path:
    """PARLEY_HOME, else the platform's user data folder for "parley". May not exist yet."""
    if named := os.environ.get("PARLEY_HOME"):
        return Path(named).expanduser().absolute()
    return user_data_path("parley", appauthor=False)


def weights() -> Path:
    """The folder of weights that Parley made or fetched itself."""
    return home() / "weights"


def engines() -> Path:
    """The folder of the engines that were compiled for this machine."""
    return home() / "engines"


def logs() -> Path:
    """The folder of the local engines' logs."""
    return home() / "logs"
