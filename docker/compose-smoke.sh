#!/usr/bin/env bash
# Builds the image, starts docker/compose.yaml with no key, looks at how it is locked down, places a spoken
# call against it, and stops it (`make compose-smoke`).
# Uses the Docker engine.  Where there is none, podman and buildah stand in for it, and a base image
# made of Debian's packages for the one of the registry; as root they are installed if they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SAYING="What is your shipping policy?"
work=$(mktemp -d "${TMPDIR:-/tmp}/offhook-smoke.XXXXXX")
podman_service=""
export COMPOSE_PROJECT_NAME=offhook-smoke
COMPOSE_FILE=$PWD/docker/compose.yaml
OFFHOOK_PUBLISHED_PORT=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export COMPOSE_FILE OFFHOOK_PUBLISHED_PORT
readonly URL=http://127.0.0.1:$OFFHOOK_PUBLISHED_PORT

compose() { .venv/bin/docker-compose --progress quiet "$@"; }
say() { printf 'compose-smoke: %3d s  %s\n' "$SECONDS" "$*"; }

clean_up() {
  local status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then
    compose logs --no-color --tail 50 || true
    cat "$work/podman.log" 2>/dev/null || true
  fi
  compose down --timeout 5 --volumes >/dev/null 2>&1 || true
  if [ -n "$podman_service" ]; then
    kill "$podman_service" 2>/dev/null || true
    wait "$podman_service" 2>/dev/null || true
    podman rm --all --force >/dev/null 2>&1 || true
    umount "$work"/storage/overlay >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

build_with_docker() {
  docker build --quiet --file docker/Dockerfile --tag offhook .
}

install_podman() {
  local tool
  for tool in podman buildah runc mmdebstrap; do
    command -v "$tool" >/dev/null && continue
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
      echo "compose-smoke: no Docker engine answers, and $tool is missing for doing without." >&2
      exit 1
    fi
    say "no Docker engine: installing podman and what it needs"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends \
      podman buildah runc netavark aardvark-dns iptables mmdebstrap >/dev/null
    return
  done
}

configure_podman() { # runc, cgroupfs and low ulimits: what runs inside another container, too
  cat >"$work/containers.conf" <<-CONF
	[containers]
	default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
	[engine]
	runtime = "runc"
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	[network]
	network_backend = "netavark"
	CONF
  cat >"$work/storage.conf" <<-CONF
	[storage]
	driver = "overlay"
	runroot = "$work/run"
	graphroot = "$work/storage"
	CONF
  # Health timers need systemd, and limits may not be raised in here.
  cat >"$work/compose.yaml" <<-YAML
	services:
	  bridge:
	    healthcheck: {disable: true}
	    ulimits: {nofile: 4096, nproc: 4096}
	YAML
  export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
  COMPOSE_FILE=$COMPOSE_FILE:$work/compose.yaml
}

build_with_podman() {
  say "making a base image of Debian's packages"
  mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates trixie "$work/base.tar"
  podman import --quiet "$work/base.tar" localhost/python:3.13-slim-trixie >/dev/null
  rm "$work/base.tar"
  say "building the image with buildah"
  local trust="" # a certificate authority of this site is handed into the build
  if [ -n "${SSL_CERT_FILE:-}" ]; then
    trust="--volume $SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro"
  fi
  # shellcheck disable=SC2086 # a list of words
  buildah bud --quiet --format docker --isolation chroot --network host $trust \
    --build-arg BASE=localhost/python:3.13-slim-trixie \
    --file docker/Dockerfile --tag docker.io/library/offhook:latest . >/dev/null
  podman system service --time=0 "unix://$work/podman.sock" 2>"$work/podman.log" &
  podman_service=$!
  export DOCKER_HOST=unix://$work/podman.sock
}

inside() { # podman's own exec: the one of its service leaves a process behind for minutes
  if [ -n "$podman_service" ]; then
    podman exec --interactive "$COMPOSE_PROJECT_NAME-bridge-1" "$@"
  else
    compose exec -T bridge "$@"
  fi
}

until_ready() {
  local tries
  for tries in $(seq 120); do
    .venv/bin/python - "$URL/readyz" 2>/dev/null <<-'PYTHON' && return
	import sys, urllib.request
	urllib.request.urlopen(sys.argv[1], timeout=1)
	PYTHON
    sleep 0.5
  done
  echo "compose-smoke: not ready after $tries tries" >&2
  return 1
}

check_confinement() { # what the process itself may do, read from inside
  inside python - <<-'PYTHON'
	import os, pathlib
	status = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines() if ":\t" in line)
	assert status["Uid"].split() == ["10001"] * 4, status["Uid"]
	assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0, status["CapBnd"]
	assert status["NoNewPrivs"].strip() == "1", status["NoNewPrivs"]
	assert os.statvfs("/").f_flag & os.ST_RDONLY, "the root file system can be written to"
	pathlib.Path("/tmp/written").write_text("")
	print("confined: uid 10001, no capabilities, no new privileges, read-only root")
	PYTHON
}

if docker info >/dev/null 2>&1; then
  say "building the image with Docker"
  build_with_docker
else
  install_podman
  configure_podman
  build_with_podman
fi
say "starting"
compose up --detach --no-build --pull never
until_ready
say "ready at $URL"
check_confinement
say "calling"
.venv/bin/offhook call --webhook "$URL/voice/inbound" --say "$SAYING"
say "stopping"
compose stop
say "passed"
