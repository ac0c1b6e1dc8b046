"""Which credential S3 is read with: AWS's own order, the parts of it that obstore lacks included."""

from __future__ import annotations

import configparser
import os
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from inference_server.storage.credentials.credential import Credential, nobody
from inference_server.storage.opening import Opening
from inference_server.storage.source import SourceError

IMDS = "http://169.254.169.254"
LOOKED_FOR = (
    "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, a profile in "
    "~/.aws/credentials (AWS_PROFILE), AWS_CONTAINER_CREDENTIALS_*, the role of this instance"
)
_RELATIVE = "container_credentials_relative_uri"
_CONTAINER = {
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": _RELATIVE,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "container_credentials_full_uri",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "container_authorization_token_file",
}
_ASKS_OTHERS = (
    "role_arn",
    "sso_session",
    "sso_start_url",
    "credential_process",
    "login_session",
    "source_profile",
)
_LOOK_SECONDS = 1.0


def profile(opening: Opening) -> Mapping[str, str]:
    """What the files of AWS say of the profile in use: its settings and its keys. Raises SourceError."""
    name = opening.get("AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"
    found: dict[str, str] = {}
    home = os.path.join(opening.get("HOME", "USERPROFILE"), ".aws")
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", "default" if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = os.path.expanduser(opening.get(variable) or os.path.join(home, file))
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeError):
            raise SourceError(
                f"{path} cannot be read: see its [sections] and its lines NAME = VALUE"
            ) from None
        if parser.has_section(section):
            found.update(parser.items(section))
    if not found and opening.get("AWS_PROFILE"):
        raise SourceError(f"AWS_PROFILE={name}: there is no such profile in {home}")
    return found


def aws_credential(opening: Opening, settings: Mapping[str, str]) -> Credential:
    """The first that is found, in the order of `LOOKED_FOR`. `settings`: the profile in use."""
    if opening.on("AWS_SKIP_SIGNATURE"):
        return Credential("AWS_SKIP_SIGNATURE", {"skip_signature": True})
    if opening.given("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        token = opening.get("AWS_SESSION_TOKEN")
        return _keys(
            "AWS_ACCESS_KEY_ID", opening.get("AWS_ACCESS_KEY_ID"), opening.get("AWS_SECRET_ACCESS_KEY"), token
        )
    if opening.given("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"):
        options = {
            "web_identity_token_file": opening.get("AWS_WEB_IDENTITY_TOKEN_FILE"),
            "role_arn": opening.get("AWS_ROLE_ARN"),
            "role_session_name": opening.get("AWS_ROLE_SESSION_NAME") or "azmlinfsrv",
        }
        return Credential(f"the role {opening.get('AWS_ROLE_ARN')}", options)
    if found := _of_profile(opening, settings):
        return found
    container = {
        name: opening.get(variable) for variable, name in _CONTAINER.items() if opening.get(variable)
    }
    if len(container) > 1 or _RELATIVE in container:  # a full address comes with the file of its token
        return Credential("the role of this container", container)
    if _on_instance(opening):
        endpoint = opening.endpoint("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        return Credential("the role of this instance", {"metadata_endpoint": endpoint} if endpoint else {})
    return nobody(LOOKED_FOR)


def _keys(spoken: str, key: str, secret: str, token: str) -> Credential:
    options = {"access_key_id": key, "secret_access_key": secret}
    return Credential(spoken, {**options, "session_token": token} if token else options)


def _of_profile(opening: Opening, settings: Mapping[str, str]) -> Credential | None:
    name = opening.get("AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"
    spoken = f"the AWS profile {name}"
    if settings.get("aws_access_key_id") and settings.get("aws_secret_access_key"):
        key, secret = settings["aws_access_key_id"], settings["aws_secret_access_key"]
        return _keys(spoken, key, secret, settings.get("aws_session_token", ""))
    if any(settings.get(field) for field in _ASKS_OTHERS):
        return Credential(spoken, {"credential_provider": _boto3(name)})
    return None


def _boto3(name: str) -> Any:
    """What roles, single sign-on and other programs give is fetched by AWS's own library."""
    try:
        import boto3  # type: ignore[import-not-found,unused-ignore]
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ModuleNotFoundError:
        raise SourceError(
            f"the AWS profile {name} asks others for its keys (role, single sign-on, program): pip install boto3, "
            "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    return Boto3CredentialProvider(boto3.Session(profile_name=name))


def _on_instance(opening: Opening) -> bool:
    """Whether the metadata service of an EC2 instance is there."""
    if opening.on("AWS_EC2_METADATA_DISABLED"):
        return False
    endpoint = (opening.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or IMDS).rstrip("/")
    request = urllib.request.Request(
        f"{endpoint}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=_LOOK_SECONDS
        ):
            return True
    except (OSError, HTTPException, ValueError):
        return False
