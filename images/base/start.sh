#!/bin/sh
# What a container does. Without words, or with flags: serve the script that the environment names, score.py unless it
# names one. With a command's name first (init, test, storage-initializer, …): that command.
set -e

case "${1:-}" in
"" | -*) ;;
*) exec azmlinfsrv "$@" ;;
esac

: "${AML_APP_ROOT:=/var/azureml-app}"
cd "$AML_APP_ROOT"

# Azure's images name the model's environment so; ours is the image's own python unless somebody says otherwise.
if [ "${AZMLINFSRV_PYTHON:-python}" = python ] && [ -x "${AZUREML_CONDA_ENVIRONMENT_PATH:-}/bin/python" ]; then
    export AZMLINFSRV_PYTHON="$AZUREML_CONDA_ENVIRONMENT_PATH/bin/python"
fi

# A model that was mounted, or copied, where Azure puts it.
if [ -z "${AZUREML_MODEL_DIR:-}" ] && [ -n "$(ls -A /var/azureml-app/azureml-models 2>/dev/null)" ]; then
    export AZUREML_MODEL_DIR=/var/azureml-app/azureml-models
fi

case " $* " in
*" --entry"* | *" --config"*) exec azmlinfsrv "$@" ;;
esac
if [ -n "${AZUREML_ENTRY_SCRIPT:-}" ]; then
    exec azmlinfsrv --entry_script "$AZUREML_ENTRY_SCRIPT" "$@"
elif [ -n "${AZUREML_CONFIG_FILE:-}" ]; then
    exec azmlinfsrv --config_file "$AZUREML_CONFIG_FILE" "$@"
fi
exec azmlinfsrv --entry_script score.py "$@"
