#!/bin/sh
# Writes samples/access.log, the same on every run: 120 lines of a shop that does not exist, two of them no log lines.
set -eu
cd "$(dirname "$0")"
awk 'BEGIN {
  split("/ /shop /shop/basket /shop/item/7 /shop/item/19 /login /static/site.css /favicon.ico", path, " ")
  seed = 7
  for (i = 0; i < 118; i++) {
    seed = (seed * 1103 + 12345) % 65536; p = path[int(seed / 64) % 8 + 1]
    seed = (seed * 1103 + 12345) % 65536; client = "192.0.2." (int(seed / 128) % 9 + 1)
    seed = (seed * 1103 + 12345) % 65536; status = (seed % 19 == 0) ? 503 : (seed % 11 == 0) ? 404 : 200
    bytes = (status == 200) ? 400 + seed % 9000 : "-"
    minute = i % 60; hour = 9 + int(i / 40)
    printf "%s - - [20/Nov/2026:%02d:%02d:%02d +0000] \"GET %s HTTP/1.1\" %s %s\n", client, hour, minute, seed % 60, p, status, bytes
    if (i == 30) print "log rotated"
    if (i == 90) print "198.51.100.4 - - broken"
  }
}' >samples/access.log
