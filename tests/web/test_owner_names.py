"""A browser is known again by a cookie that only this app could have signed."""

import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.errors import StorageError
from tests.app import ROOT
from web import owner_names
from web.owner_names import new_owner, owner_of, sign

SECRET = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def as_after_a_start():
    owner_names._own_secret.cache_clear()


def secret_file(tmp_path):
    return tmp_path / "parley-home" / owner_names.SECRET_FILE


def test_an_owner_is_known_again_by_the_signed_cookie():
    owner = new_owner()
    assert owner_of(sign(owner)) == owner
    owner_names._own_secret.cache_clear()
    assert owner_of(sign(owner)) == owner


def test_owners_cannot_be_guessed():
    found = {new_owner() for _ in range(1_000)}
    assert len(found) == 1_000 and all(len(owner) == len("browser:") + 32 for owner in found)


@pytest.mark.parametrize("change", [
    lambda cookie: cookie[:-1], lambda cookie: cookie + "A", lambda cookie: cookie[1:],
    lambda cookie: cookie.replace("browser:", "person:"), lambda cookie: cookie.split(".")[0],
    lambda cookie: "", lambda cookie: None, lambda cookie: "." + cookie,
    lambda cookie: "é" + cookie, lambda cookie: cookie * 100, lambda cookie: "\0",
    lambda cookie: cookie.swapcase(),
])
def test_a_forged_cookie_names_nobody(change):
    assert owner_of(change(sign(new_owner()))) is None


@given(st.text(max_size=300))
def test_no_cookie_at_all_crashes_it(cookie):
    assert owner_of(cookie) is None


def test_another_secrets_cookie_names_nobody(monkeypatch):
    cookie = sign(new_owner())
    monkeypatch.setenv("PARLEY_COOKIE_SECRET", SECRET)
    assert owner_of(cookie) is None


def test_replicas_with_the_same_secret_know_each_others_browsers(monkeypatch, tmp_path):
    monkeypatch.setenv("PARLEY_COOKIE_SECRET", SECRET)
    owner = new_owner()
    cookie = sign(owner)
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "another"))
    assert owner_of(cookie) == owner
    assert not secret_file(tmp_path).exists()


@pytest.mark.parametrize("secret", ["", "hunter2", "x" * 31])
def test_a_secret_too_short_to_keep_is_refused_with_what_to_do(monkeypatch, secret):
    monkeypatch.setenv("PARLEY_COOKIE_SECRET", secret)
    with pytest.raises(StorageError, match="at least 32 random characters"):
        sign(new_owner())


def test_the_secret_is_for_the_apps_user_alone(tmp_path):
    sign(new_owner())
    assert stat.S_IMODE(secret_file(tmp_path).stat().st_mode) == 0o600
    assert [file.name for file in secret_file(tmp_path).parent.iterdir()] == [
        owner_names.SECRET_FILE]


def test_two_processes_that_start_at_once_agree_on_one_secret(tmp_path):
    code = ("import sys; from web.owner_names import sign; sys.stdin.readline(); "
            "print(sign('browser:x'))")
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    said = [process.communicate("go\n", timeout=60)[0].strip() for process in processes]
    assert len(set(said)) == 1 and owner_of(said[0]) == "browser:x"


def test_two_threads_that_start_at_once_agree_on_one_secret():
    barrier = threading.Barrier(8)

    def start(_):
        barrier.wait()
        return sign("browser:x")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(start, range(8)))) == 1


def test_where_no_file_can_be_made_browsers_are_known_until_the_process_ends(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "a file"))
    owner = new_owner()
    assert owner_of(sign(owner)) == owner


def test_a_damaged_secret_file_is_not_trusted(tmp_path):
    secret_file(tmp_path).parent.mkdir()
    secret_file(tmp_path).write_bytes(b"\xff")
    owner = new_owner()
    assert owner_of(sign(owner)) == owner
    assert secret_file(tmp_path).read_bytes() == b"\xff"
