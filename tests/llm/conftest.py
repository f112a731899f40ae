"""What LangChain's standard suites need of plugins that are left out here (see pyproject.toml)."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "benchmark: measured by langchain-tests, only run here")
    config.addinivalue_line("markers", "vcr: replayed by langchain-tests where a cassette is")
