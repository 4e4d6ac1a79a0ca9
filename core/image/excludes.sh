#!/bin/sh
# mmdebstrap's hook after the extraction, $1 the new root: from here on dpkg leaves out what a machine never reads.
set -eu
mkdir -p "$1/etc/dpkg/dpkg.cfg.d"
cat > "$1/etc/dpkg/dpkg.cfg.d/50vertui" <<END
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
END
