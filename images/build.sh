#!/usr/bin/env bash
# Builds the server's image and those on it, with the container engine that is there.
#
#     images/build.sh                    # base, and those for CPU
#     images/build.sh sklearn mlflow     # base, and these
#     images/build.sh all                # those for CUDA, too: several GB
#
# ENGINE           docker, podman or buildah; default: the first that is there
# PYTHON           3.11: the Python of the server and of the model, an image python:<PYTHON>-slim
# PYTHON_IMAGE     another image with a Python of 3.10 or newer and pip
# REQUIREMENTS     for onnx-cuda and torch-cuda: requirements-cpu.txt builds them with CPU wheels
# BUILD_FLAGS      more words for the engine's build, such as --no-cache --pull
set -euo pipefail
cd "$(dirname "$0")/.."
. images/engine.sh

cpu=(minimal sklearn onnx-cpu mlflow triton-onnx storage-initializer)
every=("${cpu[@]}" onnx-cuda torch-cuda devcontainer)
python=${PYTHON:-3.11}
python_image=${PYTHON_IMAGE:-docker.io/library/python:$python-slim}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' inference_server/__init__.py)

names=()
for name in "${@:-cpu}"; do
    case $name in
    base) ;;
    cpu) names+=("${cpu[@]}") ;;
    all) names+=("${every[@]}") ;;
    *)
        [ -e "images/$name/Dockerfile" ] || stop "there is no image $name; there are: base cpu all ${every[*]}"
        names+=("$name")
        ;;
    esac
done

echo "building with $engine: azmlinfsrv $version on $python_image"
tags=(-t "azmlinfsrv:$version-py$python")
[ "$python" = 3.11 ] && tags+=(-t "azmlinfsrv:$version" -t azmlinfsrv:latest)
build "${tags[@]}" --build-arg "PYTHON_IMAGE=$python_image" --build-arg "VERSION=$version" -f Dockerfile .
for name in "${names[@]+"${names[@]}"}"; do
    echo "building azmlinfsrv-$name"
    arguments=(--build-arg "BASE=azmlinfsrv:$version-py$python")
    case $name in *-cuda) arguments+=(--build-arg "REQUIREMENTS=${REQUIREMENTS:-requirements.txt}") ;; esac
    build -t "azmlinfsrv-$name:$version" -t "azmlinfsrv-$name:latest" "${arguments[@]}" -f "images/$name/Dockerfile" .
done
