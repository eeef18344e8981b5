#!/bin/sh
# Checks the health of a nats-server in a container by its monitoring on 127.0.0.1:8222. A stream that met a full disk refuses every
# message until the server starts again, and a server of a cluster then takes no part in its streams. Once there is room, this script
# ends the server, and the engine starts it again.
#   NATS_PID    its process (1)
#   NATS_STORE  the folder of its streams (/var/lib/peyvand/nats)
#   NATS_HEALTH where it serves /healthz (127.0.0.1 8222)
#   NATS_CLIENT where it takes clients (127.0.0.1 4222)
# shellcheck disable=SC2086
answer=$(printf 'GET /healthz HTTP/1.0\r\n\r\n' | nc -w 4 ${NATS_HEALTH:-127.0.0.1 8222})
case $answer in
  *'"status":"ok"'*) exit 0 ;;
  *'write error'*) stopped=yes ;;
  # A server that is starting says this too, before it takes clients.
  *'JetStream not enabled'*) stopped=$(nc -w 4 ${NATS_CLIENT:-127.0.0.1 4222} </dev/null >/dev/null && echo yes) ;;
  *) stopped= ;;
esac
if [ -n "$stopped" ]; then
  free=$(df -Pk "${NATS_STORE:-/var/lib/peyvand/nats}" | awk 'NR == 2 { print $4 }')
  [ "$free" -lt 65536 ] || kill -TERM "${NATS_PID:-1}"
fi
echo "$answer" | tail -n 1
exit 1
