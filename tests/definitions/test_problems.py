"""Every mistake gets one line: where it is, what it is, what to write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inference_server.definitions import DefinitionError, read_deployment, read_endpoint
from inference_server.errors import InferenceServerError
from tests.definitions.examples import DEPLOYMENTS, ENDPOINTS

Write = Callable[..., Path]
BLUE, CONTAINER, GREEN = DEPLOYMENTS["blue"], DEPLOYMENTS["container"], DEPLOYMENTS["kubernetes-green"]


def problems(read: Callable[..., object], path: Path, *overrides: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read(path, overrides)
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).splitlines()]


def test_all_at_once_in_the_order_of_the_file(write: Write) -> None:
    path = write(
        """\
name: 1st
instance_count: "0"
modle: {path: model-1}
scale_settings:
  type: target_utilization
  min_instances: 3
  max_instances: 2
liveness_probe:
  periode: 5
  timeout: soon
"""
    )
    assert problems(read_deployment, path) == [
        "file.yml: has no script, and no model that needs none (mlflow_model or triton_model): "
        "write code_configuration: with code: and scoring_script: below it",
        "file.yml:1: name: got '1st', write a letter first, then letters, digits and single dashes between them, "
        "such as st-endpoint",
        "file.yml:2: instance_count: got '0', write a whole number from 1 to 50",
        "file.yml:3: modle: is no field here, write model",
        "file.yml:7: scale_settings.max_instances: got 2, write at least min_instances (3)",
        "file.yml:9: liveness_probe.periode: is no field here, write period",
        "file.yml:10: liveness_probe.timeout: got 'soon', write a whole number from 1",
    ]


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        (BLUE, ("blue", "a"), "2: name: got 1 character, write 3 to 32, such as a-endpoint"),
        (BLUE, ("blue", "my--blue"), "2: name: got 'my--blue', write a letter first"),
        (BLUE, ("blue", "my_blue"), "such as my-blue"),
        (BLUE, ("name: blue", "name: [blue]"), "2: name: got a list, write one text"),
        (BLUE, ("name: blue\n", ""), "file.yml: lacks name, write name: …"),
        (BLUE, ("blue", "{{NAME}}"), "2: name: {{NAME}} is a placeholder, write the name it stands for, or --set name=…"),
        (BLUE, ("blue", "'{{NAME}}'"), "2: name: {{NAME}} is a placeholder"),
        (BLUE, ("blue", "{{NAME}}-x"), "2: {{NAME}} is a placeholder: write what it stands for"),
        (BLUE, ("my-endpoint", "<ENDPOINT_NAME>"), "3: endpoint_name: <ENDPOINT_NAME> is a placeholder"),
        (BLUE, ("model-1/model/", "{{FOLDER}}/model"), "5: {{FOLDER}} is a placeholder"),
        (BLUE, ("path: model-1/model/", "path: model-3"), "5: model.path: model-3 does not exist (looked for"),
        (BLUE, ("path: model-1/model/", "path: "), "4: model: lacks path, write path: … on a line below it"),
        (BLUE, ("path: model-1", "paths: model-1"), "5: model.paths: is no field here, write path"),
        (BLUE, ("model:\n  path: model-1/model/", "model: my-model:1"), "4: model: got 'my-model:1', write azureml:my-model:1"),
        (BLUE, ("model:\n  path: model-1/model/", "model: azureml:m"), "4: model: got 'azureml:m' without a version, write azureml:m:1"),
        (BLUE, ("model:\n  path: model-1/model/", "model: ./m"), "or model: with `path: …` on a line below it"),
        (
            BLUE,
            ("model:\n  path: model-1/model/", "model: azureml://registries/a/environments/e/versions/1"),
            "4: model: got 'azureml://registries/a/environments/e/versions/1', which is no model",
        ),
        (BLUE, ("score.py", "scor.py"), "8: code_configuration.scoring_script: there is no scor.py in"),
        (BLUE, ("score.py", "../score.py"), "8: code_configuration.scoring_script: ../score.py lies outside"),
        (BLUE, ("  scoring_script: score.py\n", ""), "6: code_configuration: lacks scoring_script, write scoring_script: …"),
        (BLUE, ("  code: model-1/onlinescoring/\n", ""), "6: code_configuration: lacks code, write code: …"),
        (BLUE, ("code: model-1/onlinescoring/", "code: net.onnx"), "7: code_configuration.code: net.onnx is no folder"),
        (BLUE, ("conda_file: model-1/environment/conda.yml", "conda_file: model-1"), "10: environment.conda_file: model-1 is no file"),
        (BLUE, ("instance_count: 1", "instance_count: 51"), "got '51', write a whole number from 1 to 50"),
        (BLUE, ("instance_count: 1", "auth_mode: key"), "13: auth_mode: is no field here, write it in the endpoint's file"),
        (BLUE, ("instance_count: 1", "request_timeout_ms: 1"), "13: request_timeout_ms: is no field here, write it below request_settings"),
        (BLUE, ("instance_count: 1", "zzz: 1"), "13: zzz: is no field here, take it out"),
        (BLUE, ("instance_count: 1", "name: green"), "13: name: stands here twice: keep one"),
        (BLUE, ("instance_count: 1", "? [a]\n: 1"), "expects a name before the colon"),
        (BLUE, ("instance_count: 1", "instance_count: !int 1"), "!int means nothing here: write the value itself"),
        (BLUE, ("instance_count: 1", "request_settings: {request_timeout_ms: 180001}"), "got 180001, write at most 180000, the limit of a managed"),
        (BLUE, ("instance_count: 1", "liveness_probe: {success_threshold: 2}"), "is fixed for a managed deployment, write 1"),
        (BLUE, ("instance_count: 1", "type: managd"), "13: type: got 'managd', write managed or kubernetes"),
        (BLUE, ("instance_count: 1", "app_insights_enabled: maybe"), "got 'maybe', write true or false"),
        (BLUE, ("instance_count: 1", "environment_variables: {a b: c}"), "is no name of a variable"),
        (BLUE, ("instance_count: 1", "environment_variables: {A: {b: c}}"), "environment_variables.A: got names and values, write one text"),
        (BLUE, ("instance_count: 1", "environment_variables: {A: '{{A}}'}"), "environment_variables.A: {{A}} is a placeholder"),
        (BLUE, ("instance_count: 1", "tags: [a]"), "tags: got a list, write names and values, one pair a line"),
        (BLUE, ("instance_count: 1", "model_mount_path: models"), "got 'models', write an absolute path"),
        (BLUE, ("instance_count: 1", "data_collector: {collections: {a: {}}, sampling_rate: 2}"), "got '2', write a number from 0 to 1"),
        (BLUE, ("instance_count: 1", "data_collector: {collections: {}, rolling_rate: month}"), "write minute, hour or day"),
        (BLUE, ("instance_count: 1", "liveness_probe: 5"), "got '5', write fields such as initial_delay, period, timeout"),
        (BLUE, ("instance_count: 1", "scale_settings: {}\nscale_setting: {}"), "stands here beside scale_settings, which is the same"),
        (BLUE, ("managedOnlineDeployment", "kubernetesOnlineDeployment"), None),
        (BLUE, ("managedOnlineDeployment", "managedOnlineEndpoint"), "1: $schema: belongs to the endpoint's file"),
        (BLUE, ("instance_count: 1", "---\nname: other"), "13: a second document begins here"),
        (BLUE, ("instance_count: 1", "instance_count: [1"), "is no YAML:"),
        (BLUE, (BLUE, "- a list"), "file.yml: is no deployment: expects fields such as `name: …`"),
        (CONTAINER, ("port: 8501, path: /v1/models/half_plus_two}\n    r", "port: 0, path: v1}\n    r"), "liveness_route.path: got 'v1', write /v1"),
        (CONTAINER, ("    scoring_route:", "    scoring:"), "inference_config.scoring: is no field here, write scoring_route"),
        (CONTAINER, ("  image: tensorflow/serving:latest\n", ""), "inference_config: describes a container, write the image"),
        (CONTAINER, ("image: ", "build: {path: image}\n  image: "), "environment.build: stands beside image, write one of the two"),
        (DEPLOYMENTS["mlflow"], ("  type: mlflow_model\n", ""), "4: model: lacks its type, write type: mlflow_model below it"),
        (DEPLOYMENTS["mlflow"], ("path: sklearn-diabetes", "path: net.onnx"), "net.onnx is no folder, which a model of type mlflow_model is"),
        (DEPLOYMENTS["onnx"], ("net.onnx", "image"), "has no script, and no model that needs none"),
        (GREEN, ("green", "green-deployment-name-of-32-chars"), "write 3 to 32"),
        (GREEN, ("type: kubernetes", "type: managed"), "3: type: got managed, and $schema is for Kubernetes"),
        (GREEN, ("3000, max", "300001, max"), "got 300001, write at most 300000, the limit of a Kubernetes deployment"),
        (GREEN, ("{path: model-2/model/model.pkl}", "azureml://registries/r/models/m/versions/1"), "5: model: comes from a registry"),
    ],
)  # fmt: skip
def test_deployments(write: Write, text: str, change: tuple[str, str], expected: str | None) -> None:
    assert change[0] in text
    path = write(text.replace(*change, 1))
    if expected is None:
        assert read_deployment(path).made.is_kubernetes
        return
    assert any(expected in line for line in problems(read_deployment, path)), problems(read_deployment, path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "file.yml: lacks name, write name: …"),
        ("name: abc\nauth_mode: pasword", "2: auth_mode: got 'pasword', write key, aml_token or aad_token"),
        ("name: abc\ntraffic: {blue: 90}", "2: traffic: got 90 per cent (blue 90), write shares that make 100"),
        ("name: abc\ntraffic: {blue: 90, green: 11}", "2: traffic: got 101 per cent"),
        ("name: abc\ntraffic: {blue: -1}", "2: traffic.blue: got '-1', write a whole number from 0 to 100"),
        ("name: abc\ntraffic: {blue: 50, Blue: 50}", "stands here twice, case does not matter: keep one blue"),
        ("name: abc\ntraffic: blue=100", "write names of deployments and per cents"),
        ("name: abc\nmirror_traffic: {blue: 51}", "mirror_traffic.blue: got 51 per cent, write 50 or less"),
        ("name: abc\nmirror_traffic:\n  a-b: 1\n  c-d: 1", "2: mirror_traffic: got a-b and c-d, write one deployment"),
        ("name: abc\ntraffic: {blue: 100}\nmirror_traffic:\n  Blue: 5", "4: mirror_traffic.Blue: blue has live traffic"),
        ("name: abc\nidentity: {type: user_assigned}", "2: identity.type: user_assigned lacks the identity"),
        ("name: abc\nidentity: {user_assigned_identities: [a]}", "goes with type: user_assigned"),
        ("name: abc\ncompute: azureml:c\nauth_mode: aad_token", "3: auth_mode: aad_token is for managed endpoints only"),
        ("name: abc\ncompute: azureml:c\nmirror_traffic: {blue: 5}", "3: mirror_traffic: Kubernetes endpoints do not mirror"),
        ("name: abc\nproperties: {tls_key: net.onnx}", "2: properties.tls_key: goes with tls_cert, write both"),
        ("name: abc\nproperties: {tls_cert: gone.pem}", "2: properties.tls_cert: gone.pem does not exist"),
        ("name: abc\nproperties: {token_life: 60, token_refresh_after: 61}", "got 61, write at most token_life (60)"),
        ("name: abc\nproperties: {oidc_issuer: 'http://example.org'}", "write an address that begins with https://"),
        ("name: abc\ninstance_count: 1", "2: instance_count: is no field here, write it in the deployment's file"),
        (ENDPOINTS["identity"] + "properties: {enforce_access_to_default_secret_stores: enabled}", "goes with a system assigned"),
        ("a: &a [*a]", "nests deeper than 60"),
        ("a: &a {b: &b {c: *b}}", "nests deeper than 60"),
        ("&a [" * 3 + "*a" + "]" * 3, "is no"),
        ("[" * 1500, "file.yml"),
        ('name: "\\ud800"', "1: name: holds half of a character"),
        ("name: \x07", "1: is no text: it holds the character 0x7"),
        ('name: "\\0"', "1: name: got"),
        ("name: abc\nproperties: {tls_cert: " + "a" * 5000 + "}", "write the path of a file (File name too long)"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else '*a'] * 9)}]\n" for n in range(8)), "has over 50000 values"),
    ],
)  # fmt: skip
def test_endpoints(write: Write, text: str, expected: str) -> None:
    found = problems(read_endpoint, write(text))
    assert any(expected in line for line in found), found


def test_files(write: Write, tmp_path: Path) -> None:
    assert "No such file" in problems(read_endpoint, tmp_path / "gone.yml")[0]
    assert "cannot be read" in problems(read_endpoint, tmp_path)[0]
    (tmp_path / "latin.yml").write_bytes(b"name: abc\ndescription: caf\xe9\n")
    assert problems(read_endpoint, tmp_path / "latin.yml") == ["latin.yml:2: is not UTF-8 text"]
    (tmp_path / "large.yml").write_bytes(b"#" * (2 << 20))
    assert "larger than 1 MiB" in problems(read_endpoint, tmp_path / "large.yml")[0]
    (tmp_path / "mark.yml").write_bytes(b"\xef\xbb\xbfname: abc\r\n")
    assert read_endpoint(tmp_path / "mark.yml").made.name == "abc"


def test_filled_copies(tmp_path: Path) -> None:
    """deployment.yml_ is what the scripts of Azure's examples make of deployment.yml."""
    (tmp_path / "endpoint.yml").write_text("name: {{NAME}}\n")
    missing = problems(read_endpoint, tmp_path / "endpoint.yml_")
    assert missing[0].endswith("endpoint.yml is there: fill in its placeholders and give that file")
    (tmp_path / "endpoint.yml_").write_text("name: abc\n")
    assert read_endpoint(tmp_path / "endpoint.yml_").made.name == "abc"
    assert problems(read_endpoint, tmp_path / "endpoint.yml") == [
        "endpoint.yml:1: name: {{NAME}} is a placeholder, write the name it stands for (endpoint.yml_ beside it has none)"
    ]
    (tmp_path / "model.json").touch()
    (tmp_path / "deployment.yml").write_text("name: abc\nmodel: {path: model.json_}\n")
    assert any(
        "model.json_ does not exist; model.json does: fill in its placeholders first" in line
        for line in problems(read_deployment, tmp_path / "deployment.yml")
    )


def test_merged(write: Write) -> None:
    text = BLUE + "liveness_probe: &slow {period: 60}\nreadiness_probe: {<<: *slow, timeout: 5}\n"
    probe = read_deployment(write(text)).made.readiness_probe
    assert (probe.period, probe.timeout) == (60, 5)


def test_stored(beside: Path) -> None:
    """What was read once is read again where its files are gone; what no file can hold is said so."""
    values = {"name": "blue", "model": {"path": "/gone/model.onnx"}, "instance_count": 2}
    assert read_deployment(values=values, checks_paths=False).made.instance_count == 2
    with pytest.raises(DefinitionError, match="the deployment: a set is no value"):
        read_deployment(values={"name": {"blue"}})
    with pytest.raises(DefinitionError, match="--instance-count: instance_count: got '0'"):
        read_deployment(values=values, given={"instance_count": 0}, checks_paths=False)


def test_parts(write: Write) -> None:
    part = "code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}"
    assert not read_deployment(write(part), complete=False).notes
    assert problems(read_deployment, write(part)) == ["file.yml: lacks name, write name: …"]
    with pytest.raises(DefinitionError, match=r"write the name it stands for$"):
        read_deployment(write("name: <NAME>"), overrides=None, complete=False)
    made = read_deployment(write(BLUE))
    assert str(made.error(("code_configuration", "code"), "is empty")).endswith(
        "file.yml:7: code_configuration.code: is empty"
    )


def test_without_yaml(write: Write) -> None:
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from inference_server.definitions import read_endpoint\n"
        f"read_endpoint({str(write('name: abc'))!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1].endswith("needs PyYAML: pip install 'azmlinfsrv[env]'")
    assert InferenceServerError.__name__ in ran.stderr
