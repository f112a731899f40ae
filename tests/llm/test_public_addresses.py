"""A server that somebody named in a shared app is no way into the network it runs in.

What is connected to is what was checked: a name that means another address the next
time it is looked up (DNS rebinding), or a redirect, leads nowhere either.
"""

from __future__ import annotations

import datetime
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from langchain_core.output_parsers import StrOutputParser

from llm import connections, public_addresses
from llm.catalog import ModelSpec
from llm.providers import create_chat_model
from llm.public_addresses import is_public
from llm.replies import Ending, Reply, start_reply
from tests.servers import hostile, recording

BOTH = pytest.mark.parametrize("provider", ["openai", "huggingface"])
PUBLIC = "8.8.8.8"
OTHER = "127.0.0.5"
"""Loopback, where no server listens: these tests connect to nobody else. See `taken`."""
KEY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.2.1", "224.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b:1::1", "x",
    "fec0::1", "fec0:0:0:ffff::1", "::7f00:1", "::ffff:0:a00:1", "5f00::1",
])
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8",
                                     "64:ff9b::808:808", PUBLIC])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


def test_this_machines_own_addresses_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_addresses, "_this_machine", lambda: {PUBLIC})
    assert not is_public(PUBLIC)


@pytest.fixture
def server():
    with recording.running(hostile.Hostile) as running:
        yield running


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have every name mean those addresses, one answer a look-up, the last for ever.

    Returns the names that were looked up.
    """
    asked: list[str] = []

    def resolve(host, port, *args, **kwargs):
        host = host.decode() if isinstance(host, bytes) else host
        if host[0].isdigit() or ":" in host:
            return original(host, port, *args, **kwargs)
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [entry for address in addresses
                for entry in original(address, port, *args, **kwargs)]

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTHER is taken for a public address, and waiting is short."""
    monkeypatch.setattr(public_addresses, "is_public", lambda address: address == OTHER)
    monkeypatch.setattr(connections, "PATIENCE", connections.Patience(retries=1, pause=0.01))


def ask(provider: str, url: str, model: str = "fine", *, public_only: bool = True) -> Reply:
    spec = ModelSpec(id="m", label="M", provider=provider, model=model, open=True, base_url=url,
                     public_only=public_only)
    chain = create_chat_model(spec, api_key=KEY) | StrOutputParser()
    return start_reply(chain, [("human", "Hello")], spec).wait(30)


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0177.1",
                                  "[::1]", "[::ffff:127.0.0.1]"])
def test_every_way_to_write_this_machine_is_refused(server, provider: str, host: str) -> None:
    reply = ask(provider, server.base_url.replace("127.0.0.1", host))
    assert reply.ending is Ending.FAILED
    assert "not on the public internet" in reply.error
    assert server.requests == []


@BOTH
def test_without_the_rule_it_is_reached(server, provider: str) -> None:
    assert ask(provider, server.base_url, public_only=False).text == "Good morning."


@BOTH
@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["10.0.0.1"], [PUBLIC, "127.0.0.1"]])
def test_a_name_of_a_private_address_is_refused(server, provider, addresses, monkeypatch) -> None:
    names(monkeypatch, addresses)
    reply = ask(provider, server.base_url.replace("127.0.0.1", "models.example"))
    assert "models.example is not on the public internet" in reply.error
    assert server.requests == []


@BOTH
async def test_the_plain_call_is_refused_too(server, provider: str) -> None:
    spec = ModelSpec(id="m", label="M", provider=provider, model="fine", open=True,
                     base_url=server.base_url, public_only=True)
    model = create_chat_model(spec, api_key=KEY)
    for call in (lambda: model.invoke("Hello"), lambda: list(model.stream("Hello"))):
        with pytest.raises(Exception) as failed:
            call()
        told = failed.value
        while told is not None and "public internet" not in str(told):
            told = told.__cause__
        assert told is not None
    assert server.requests == []


@BOTH
def test_a_name_that_changes_its_meaning_after_the_check_gains_nothing(
        server, provider, taken, monkeypatch) -> None:
    """The first look-up is public and every later one this machine: there is no later one."""
    monkeypatch.setattr(connections, "PATIENCE", connections.Patience(retries=0))
    asked = names(monkeypatch, [OTHER], ["127.0.0.1"])
    reply = ask(provider, server.base_url.replace("127.0.0.1", "models.example"))
    assert reply.ending is Ending.FAILED
    assert asked == ["models.example"]
    assert server.requests == []


@BOTH
def test_each_further_try_is_checked_anew(server, provider, taken, monkeypatch) -> None:
    asked = names(monkeypatch, [OTHER], ["127.0.0.1"])
    reply = ask(provider, server.base_url.replace("127.0.0.1", "models.example"))
    assert "not on the public internet" in reply.error
    assert asked == ["models.example"] * 2
    assert server.requests == []


@BOTH
def test_a_redirect_to_this_machine_is_not_followed(server, provider, monkeypatch) -> None:
    # Public by decree, so that the first server is reached at all.
    monkeypatch.setattr(public_addresses, "is_public", lambda address: True)
    with recording.running() as inside:
        names(monkeypatch, ["127.0.0.1"])
        spec = ModelSpec(id="m", label="M", provider=provider, model="redirect", open=True,
                         base_url=server.base_url.replace("127.0.0.1", "models.example"),
                         public_only=True)
        chain = create_chat_model(spec).bind(
            user=f"{inside.base_url}/chat/completions") | StrOutputParser()
        reply = start_reply(chain, [("human", "Hello")], spec).wait(30)
        assert reply.ending is Ending.FAILED
        assert "nothing was sent there" in reply.error
        assert inside.requests == []
    [request] = server.requests
    # Connected to by address, asked for by name.
    assert request.headers["host"].startswith("models.example:")


@BOTH
def test_a_name_that_nobody_has_is_told_as_ever(server, provider, monkeypatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", connections.Patience(retries=0))
    reply = ask(provider, "http://nobody.invalid:8000/v1")
    assert "is not known" in reply.error


@BOTH
def test_a_proxy_is_not_asked_to_reach_it(server, provider, taken, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
    names(monkeypatch, [OTHER])
    assert ask(provider, "http://models.example:8000/v1").ending is Ending.FAILED
    assert server.requests == []


@BOTH
def test_the_certificate_must_be_the_names_not_the_addresss(provider, monkeypatch, tmp_path
                                                            ) -> None:
    monkeypatch.setattr(public_addresses, "is_public", lambda address: True)
    names(monkeypatch, ["127.0.0.1"])
    certificate, trusting = _certificate_for("models.example", tmp_path)
    monkeypatch.setattr(connections, "_tls", lambda: trusting)
    with recording.running() as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        assert ask(provider, f"https://models.example:{port}/v1").text == "Good morning."
        assert "certificate" in ask(provider, f"https://other.example:{port}/v1").error


def _certificate_for(name: str, folder) -> tuple[str, ssl.SSLContext]:
    """A file with a key and its own certificate for a name, and a context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256()))
    file = folder / "server.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(pem + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    return str(file), ssl.create_default_context(cadata=pem.decode())
