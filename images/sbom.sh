#!/usr/bin/env bash
# Writes what is inside each image that was built here into build/sbom/IMAGE.cdx.json (CycloneDX).
set -euo pipefail
cd "$(dirname "$0")/.."
. images/engine.sh
[ "$(basename "$engine")" != buildah ] || stop "buildah runs no images: ENGINE=podman or docker"
mkdir -p build/sbom

found=()
while read -r image; do
    name=${image##*/}
    [ $# -eq 0 ] || [[ " $* " == *" ${name#azmlinfsrv-} "* ]] || { [ "$name" = azmlinfsrv ] && [[ " $* " == *" base "* ]]; } || continue
    found+=("$name")
    "$engine" run --rm --network none --entrypoint python "$image:latest" /opt/azmlinfsrv/image/sbom.py --name "$name" \
        >"build/sbom/$name.cdx.json"
    echo "wrote build/sbom/$name.cdx.json"
done < <("$engine" images --filter reference='*azmlinfsrv*:latest' --format '{{.Repository}}' | sort -u)
((${#found[@]})) || stop "no such image was built here: make images"
