#!/usr/bin/env bash
# Makes this machine able to build and run images without a registry and without a container engine's daemon.
#
#     images/ci/test-base.sh [FOLDER]      # default: /var/tmp/azmlinfsrv-images; needs root, Debian 12
#     . FOLDER/engine.sh                   # then buildah and podman work in FOLDER and find the base image
#     images/build.sh
#
# The base image that it makes is a stand-in: Debian 12 with Debian's own Python 3.11 (debootstrap), under the name of the
# published python:3.11-slim. It carries this machine's certificates and package mirror: never publish it.
set -euo pipefail
work=$(realpath -m "${1:-/var/tmp/azmlinfsrv-images}")
image=docker.io/library/python:3.11-slim
packages=(buildah containernetworking-plugins debootstrap iptables podman runc)

say() { echo "test-base: $*" >&2; }
die() { say "error: $*"; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root: it makes a Debian tree, and containers without user namespaces"
missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
mkdir -p "$work"

# ---------------------------------------------------------------- a Debian tree, from the mirror that apt uses here
if [ ! -e "$work/rootfs/etc/debian_version" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)
    [ -n "$mirror" ] || die "apt knows no mirror: run apt-get update"
    say "making a Debian tree"
    rm -rf "$work/rootfs" "$work/rootfs.partial"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$work/rootfs.partial" "$mirror" >"$work/debootstrap.log" 2>&1 \
        || { tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap failed"; }
    rm -f "$work"/rootfs.partial/usr/lib/python3*/EXTERNALLY-MANAGED
    rm -rf "$work"/rootfs.partial/var/cache/apt/archives/*.deb
    ln -sf python3 "$work/rootfs.partial/usr/bin/python"
    mv "$work/rootfs.partial" "$work/rootfs"
fi

# ---------------------------------------------------------------- the engines' configuration
configure() {  # DRIVER
    cat >"$work/storage.conf" <<EOF
[storage]
driver = "$1"
graphroot = "$work/graph-$1"
runroot = "$work/run-$1"
EOF
    cat >"$work/containers.conf" <<EOF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
    # vfs copies a layer whole: there one layer an image is enough
    cat >"$work/engine.sh" <<EOF
export ENGINE=podman BUILD_FLAGS="--pull=never$([ "$1" = vfs ] && echo " --layers=false")"
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf
export BUILDAH_ISOLATION=chroot BUILDAH_FORMAT=docker AZMLINFSRV_IMAGES=$work
EOF
    . "$work/engine.sh"
}
if [ ! -e "$work/engine.sh" ]; then
    configure overlay
    if ! buildah from --name overlay-probe scratch >/dev/null 2>"$work/probe.log" \
        || ! buildah mount overlay-probe >/dev/null 2>>"$work/probe.log"; then
        say "overlay does not work here ($(tail -n 1 "$work/probe.log")): every layer is copied whole (vfs)"
        configure vfs
    else
        buildah rm overlay-probe >/dev/null
    fi
fi
. "$work/engine.sh"

# ---------------------------------------------------------------- the base image
if ! buildah inspect --type image "$image" >/dev/null 2>&1; then
    say "making the stand-in for $image"
    bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    container=$(buildah from scratch)
    buildah add -q "$container" "$work/rootfs/" / >/dev/null
    buildah copy -q "$container" "$bundle" /etc/ssl/certs/ca-certificates.crt >/dev/null
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$work/pip.conf"
    buildah copy -q "$container" "$work/pip.conf" /etc/pip.conf >/dev/null
    # every image made from it carries the label: the tests say what they ran on
    buildah config --label "azmlinfsrv.stand-in=Debian 12 with its own Python 3.11, not the published $image" "$container"
    buildah config --cmd python3 --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$container"
    buildah commit -q "$container" "$image" >/dev/null
    buildah rm "$container" >/dev/null
fi

# ---------------------------------------------------------------- does a container run at all?
podman run --rm --pull=never --network host "$image" python3 -c 'print("ok")' >"$work/run.log" 2>&1 \
    || { cat "$work/run.log" >&2; die "images can be built on this machine, but no container starts (see above)"; }
say "ready: . $work/engine.sh   (base: Debian's Python, standing in for $image)"
