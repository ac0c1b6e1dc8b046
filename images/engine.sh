# What build.sh and sbom.sh share: the engine that is there, in $engine, and how it builds. To be sourced.
# shellcheck shell=bash

stop() {
    echo "$(basename "$0"): error: $*" >&2
    exit 1
}

engine=${ENGINE:-}
if [ -z "$engine" ]; then
    for engine in docker podman buildah ""; do
        [ -n "$engine" ] || stop "no container engine that works: install docker, podman or buildah"
        command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1 && break
    done
elif ! command -v "$engine" >/dev/null; then
    stop "ENGINE=$engine: there is no such program"
fi

build() {
    local words
    read -ra words <<<"${BUILD_FLAGS:-}"
    case $(basename "$engine") in
    docker) "$engine" build "${words[@]+"${words[@]}"}" "$@" ;;
    # in the other format the health check would be left out
    *) "$engine" build --format docker "${words[@]+"${words[@]}"}" "$@" ;;
    esac
}
