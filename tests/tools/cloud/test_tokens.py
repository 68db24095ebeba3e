"""Token signing: the key, the tokens, and what deploy and device do with them."""

from __future__ import annotations

import base64
import dataclasses
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mqtt443.config_schema import validate
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.cloud.token_signing import SigningKey, key_path
from mqtt443_tools.localcore.auth.signing import TokenVerifier
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.stubs import ACCOUNT, REGION

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing" / "key.pem"
    SigningKey.make(path)
    return path


def test_key_is_private_and_can_be_loaded(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert SigningKey.load(made).public_pem.startswith("-----BEGIN PUBLIC KEY-----")


def test_token_is_accepted_by_the_endpoint(made: Path) -> None:
    key = SigningKey.load(made)
    token, signature = key.issue()
    TokenVerifier({"mqtt443": key.public_pem}).verify(token, signature)
    assert len(base64.urlsafe_b64decode(token + "==")) == 16
    assert key.issue().token != token


def test_token_fits_the_boards_config(made: Path) -> None:
    token = SigningKey.load(made).issue()
    config = validate({"endpoint": "e", "client_id": "c", "username": "u", **token.config()})
    assert config.token == token.token
    assert "mqtt443-token=" in config.mqtt_username


def write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_unsupported_key_is_refused(tmp_path: Path) -> None:
    short = write_key(tmp_path / "short.pem", rsa.generate_private_key(public_exponent=65537, key_size=1024))
    curve = write_key(tmp_path / "ec.pem", ec.generate_private_key(ec.SECP256R1()))
    text = tmp_path / "text.pem"
    text.write_text("no key")
    for path, why in ((short, "at least 2048 bits"), (curve, "RSA"), (text, "not a private key"), (tmp_path, "Is a")):
        with pytest.raises(CommandError, match=why):
            SigningKey.load(path)


def local_key(cloud: Cloud) -> Path:
    return key_path(cloud.state, STACK, ACCOUNT, REGION)


def test_signing_creates_a_local_key_and_deploys_its_public_half(cloud: Cloud) -> None:
    assert cloud.deploy(mode="named", signing=True).signing
    key = SigningKey.load(local_key(cloud))
    deployed = cloud.iot.authorizers[STACK]
    assert deployed["signingDisabled"] is False
    assert deployed["tokenSigningPublicKeys"]["mqtt443"] == key.public_pem
    everything = repr(cloud.answers.calls) + repr(cloud.said)
    assert "PRIVATE KEY" not in everything
    (tried,) = cloud.answers.of("test_invoke_authorizer")
    TokenVerifier({"k": key.public_pem}).verify(tried.parameters["token"], tried.parameters["tokenSignature"])


def test_second_deploy_keeps_the_key(cloud: Cloud) -> None:
    cloud.deploy(mode="named", signing=True)
    before = local_key(cloud).read_bytes()
    cloud.deploy()
    assert (local_key(cloud).read_bytes(), cloud.asked) == (before, [])


@pytest.mark.parametrize("first", [True, False])
def test_signing_cannot_be_changed_later(cloud: Cloud, first: bool) -> None:
    cloud.deploy(mode="named", signing=first)
    with pytest.raises(UsageError, match=r"AWS cannot switch the token signing .* with another --stack"):
        cloud.deploy(signing=not first)


def test_deploy_from_another_machine_works_without_the_key(cloud: Cloud) -> None:
    cloud.deploy(mode="named", signing=True)
    local_key(cloud).unlink()
    cloud.deploy()
    assert cloud.asked == []
    assert cloud.said[-1] == "smoke test skipped: the key that signs the tokens is not on this machine"
    with pytest.raises(CommandError, match="does not exist: sign tokens where"):
        AwsBackend(cloud.aws, STACK, cloud.state).config()


def test_foreign_key_is_detected(cloud: Cloud) -> None:
    cloud.deploy(mode="named", signing=True)
    SigningKey.make(local_key(cloud))
    with pytest.raises(CommandError, match="not the key that signs this stack's tokens"):
        cloud.deploy()


def test_every_device_gets_its_own_token(cloud: Cloud) -> None:
    cloud.deploy(mode="named", signing=True)
    backend = AwsBackend(cloud.aws, STACK, cloud.state)
    one, two = backend.config(), backend.config()
    assert one["token"] != two["token"]
    assert one["authorizer"] == STACK
    assert dataclasses.asdict(backend.deployed)["signing"] is True
