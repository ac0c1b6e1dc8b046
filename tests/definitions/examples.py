"""Files as people have them: endpoints and deployments of each sort, and what lies beside them."""

from __future__ import annotations

_SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/{}.schema.json\n"
BESIDE = (
    "model-1/model/model.pkl",
    "model-1/onlinescoring/score.py",
    "model-1/environment/conda.yml",
    "model-2/model/model.pkl",
    "model-2/onlinescoring/score.py",
    "model-2/environment/conda.yml",
    "half_plus_two/1/saved_model.pb",
    "sklearn-diabetes/MLmodel",
    "triton/models/model_1/config.pbtxt",
    "r/plumber.R",
    "image/Dockerfile",
    "net.onnx",
)

ENDPOINTS = {
    "managed": _SCHEMA.format("managedOnlineEndpoint")
    + """\
name: my-endpoint
auth_mode: key
""",
    "token": _SCHEMA.format("managedOnlineEndpoint")
    + """\
name: my-endpt
auth_mode: aml_token
""",
    "casing": "name: my-endpoint\nauth_mode: Key\n",
    "identity": _SCHEMA.format("managedOnlineEndpoint")
    + """\
name: endpoint-with-identity
auth_mode: Key
identity:
  type: user_assigned
  user_assigned_identities:
    - resource_id: /subscriptions/0/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one
    - /subscriptions/0/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/two
""",
    "closed": _SCHEMA.format("managedOnlineEndpoint")
    + """\
name: my-endpoint
auth_mode: key
public_network_access: disabled
description: Only the office reaches it.
tags: {tag1: one, team: 7}
properties:
  enforce_access_to_default_secret_stores: enabled
""",
    "kubernetes": _SCHEMA.format("kubernetesOnlineEndpoint")
    + """\
name: my-endpoint
compute: azureml:inferencecompute
auth_mode: Key
""",
    "here": """\
name: my-endpoint
auth_mode: AADToken
properties:
  port: 8443
  tls_self_signed: true
  oidc_issuer: https://login.example.org/tenant/v2.0
  oidc_scope: score
  requests_per_second: 500
  cost-center: "0042"
traffic: {blue: 90, Green: 10, old: 0}
mirror_traffic: {shadow: 10}
""",
}

_PROBE = """\
liveness_probe:
  initial_delay: 180
  period: 180
  failure_threshold: 49
  timeout: 299
"""

DEPLOYMENTS = {
    "blue": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: blue
endpoint_name: my-endpoint
model:
  path: model-1/model/
code_configuration:
  code: model-1/onlinescoring/
  scoring_script: score.py
environment:
  conda_file: model-1/environment/conda.yml
  image: azureml/openmpi4.1.0-ubuntu22.04:latest
instance_type: Standard_DS3_v2
instance_count: 1
""",
    "green": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: green
endpoint_name: my-endpoint
model: azureml:my-model:2
code_configuration:
  code: ./model-2/onlinescoring/
  scoring_script: score.py
environment: azureml:my-env@latest
instance_type: Standard_F4s_v2
instance_count: 1
request_settings:
  request_timeout_ms: 90000
"""
    + _PROBE,
    "registry": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: demo
endpoint_name: my-endpoint
model: azureml://registries/azureml/models/t5-small/versions/1
environment: azureml://registries/azureml/environments/sklearn-1.5/labels/latest
code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}
instance_type: Standard_DS3_v2
instance_count: 1
app_insights_enabled: true
egress_public_network_access: disabled
""",
    "container": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: tfserving
endpoint_name: my-endpoint
model:
  name: tfserving-mounted
  version: 1
  path: half_plus_two
environment_variables:
  MODEL_BASE_PATH: /var/azureml-app/azureml-models/tfserving-mounted/1
  MODEL_NAME: half_plus_two
environment:
  image: tensorflow/serving:latest
  inference_config:
    liveness_route: {port: 8501, path: /v1/models/half_plus_two}
    readiness_route: {port: 8501, path: /v1/models/half_plus_two}
    scoring_route: {port: 8501, path: '/v1/models/half_plus_two:predict'}
instance_type: Standard_DS3_v2
instance_count: 1
""",
    "r": """\
name: r-deployment
endpoint_name: my-endpoint
model_mount_path: /models
code_configuration: {code: r, scoring_script: plumber.R}
model: azureml:plumber:1
environment:
  build: {path: image, dockerfile_path: Dockerfile}
  inference_config:
    liveness_route: {port: 8000, path: /live}
    readiness_route: {port: 8000, path: /ready}
    scoring_route: {port: 8000, path: /score}
instance_type: Standard_DS2_v2
instance_count: 1
""",
    "mlflow": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: sklearn-deployment
endpoint_name: my-endpoint
model:
  name: mir-sample-sklearn-mlflow-model
  version: 1
  path: sklearn-diabetes
  type: mlflow_model
instance_type: Standard_DS3_v2
instance_count: 1
""",
    "triton": """\
name: blue
endpoint_name: my-endpoint
model: {name: sample-densenet-onnx, version: 1, path: triton/models, type: triton_model}
instance_count: 1
instance_type: Standard_NC6s_v3
""",
    "onnx": """\
name: net
model: {path: net.onnx}
instance_count: 1
instance_type: Standard_DS3_v2
""",
    "secrets": """\
name: kvdep
endpoint_name: my-endpoint
model: {path: model-1/model/model.pkl}
code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}
environment: {conda_file: model-1/environment/conda.yml, image: 'azureml/minimal-py312-inference:latest'}
environment_variables:
  KV_SECRET_MULTIPLIER: multiplier@https://myvault.vault.azure.net
  AOAI_KEY: ${{azureml://connections/aoai_connection/credentials/key}}
  VAULT: ${{keyvault:https://v.vault.azure.net/secrets/name/0123}}
  MODE: on
  NUMBER: 1.10
instance_type: Standard_DS3_v2
instance_count: 1
""",
    "collector": _SCHEMA.format("managedOnlineDeployment")
    + """\
name: mdc
endpoint_name: my-endpoint
model: azureml:iris_mlflow_model@latest
code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}
environment:
  image: azureml/minimal-py312-inference:latest
  conda_file:
    name: mdc
    channels: [conda-forge]
    dependencies: [python=3.12, {pip: [azureml-ai-monitoring]}]
instance_count: 1
instance_type: Standard_DS3_v2
data_collector:
  sampling_rate: 1.0
  rolling_rate: hour
  request_logging: {capture_headers: [x-customer]}
  collections:
    model_inputs: {enabled: 'True'}
    model_outputs:
      enabled: true
      data:
        name: my_outputs
        path: azureml://datastores/workspaceblobstore/paths/modelDataCollector/mdc/my-endpoint/outputs
        version: 1
""",
    "flow": """\
name: flow
model:
  path: model-1/model
  properties:
    azureml.promptflow.mode: chat
code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}
environment: azureml:flow:3
request_settings: {request_timeout_ms: 300000}
instance_type: Standard_E16s_v3
instance_count: 1
""",
    "kubernetes-blue": _SCHEMA.format("kubernetesOnlineDeployment")
    + """\
name: blue
type: kubernetes
endpoint_name: my-endpoint
model: {path: model-1/model/model.pkl}
code_configuration: {code: model-1/onlinescoring, scoring_script: score.py}
environment: {conda_file: model-1/environment/conda.yml, image: 'azureml/openmpi4.1.0-ubuntu22.04:latest'}
resources:
  requests: {cpu: "0.1", memory: 0.1Gi}
  limits: {cpu: "0.2", memory: 200Mi, nvidia.com/gpu: 1}
instance_count: 1
scale_settings: {type: default}
""",
    "kubernetes-green": _SCHEMA.format("kubernetesOnlineDeployment")
    + """\
name: green
type: kubernetes
endpoint_name: my-endpoint
model: {path: model-2/model/model.pkl}
code_configuration: {code: model-2/onlinescoring, scoring_script: score.py}
environment: {conda_file: model-2/environment/conda.yml, image: 'azureml/openmpi4.1.0-ubuntu22.04:latest'}
app_insights_enabled: true
tags: {tag1: canary}
request_settings: {request_timeout_ms: 3000, max_queue_wait_ms: 3000}
instance_type: defaultinstancetype
scale_setting:
  type: target_utilization
  min_instances: 1
  max_instances: 3
  polling_interval: 10
  target_utilization_percentage: 70
""",
}
