#!/bin/sh
# Makes what a bus needs besides its configuration, in FOLDER (by default deploy/secrets): a certificate authority, the servers'
# certificate, the users' seeds, the servers' list of users and the archive's key; for deploy/compose.yaml also Grafana's password and
# Alertmanager's webhooks. Existing files stay, users too: everyone with a folder in users/ is admitted, named here or not. To exclude
# a user, remove that folder first. To get a new certificate, remove nats/server.pem first. The authority is for a lab or a pilot: the
# files of a real one (ca.pem, nats/ca.pem, nats/server.pem, nats/server.key) may be put here before the first call or later. These
# variables have the defaults in parentheses:
#   VANTAGES  the vantages of the register, or those to be added        (those in users/, main if there is none)
#   BUSES     the data buses, likewise                                  (those in users/, xroad if there is none)
#   HOSTS     names and addresses of nats-servers (nats-1 nats-2 nats-3 localhost 127.0.0.1)
#   ARCHIVE   the name of the archive's log, such as peyvand.example/archive         (peyvand.invalid/archive)
#   PAGES_URL, TICKETS_URL  webhooks of Alertmanager, for pages and for tickets      (without them nobody is told)
#   RUNBOOKS  the address of this repository's pages. Each call copies prometheus/rules to rules/, for PEYVAND_RULES of the stack, with
#             runbook_url below this address (that of the last call; without any, there is no rules/)
#   OWNER     UID:GID of who runs the components  (in deploy/secrets the image's user, 10001:10001; elsewhere the caller keeps all
#             files, because systemd hands seeds to each unit by itself, and Secrets have no owner)
#   PEYVAND   the command                         (peyvand on PATH, else the one of .venv)
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/secrets}
peyvand=${PEYVAND:-$(command -v peyvand || echo "$here/../.venv/bin/peyvand")}
[ $# -gt 0 ] && reader= || reader=10001:10001
owner=${OWNER:-$reader}
if [ -n "$owner" ] && [ "$(id -u)" != 0 ] && [ "${owner%%:*}" != "$(id -u)" ]; then
  echo "$0: only root can give the files to UID ${owner%%:*}, who is to read them: run this as root," \
    "or with OWNER=$(id -u) where the components run as you or the files are carried elsewhere" >&2
  exit 1
fi
runbooks=${RUNBOOKS:-$(cat "$folder/runbooks" 2>/dev/null || true)}
case $runbooks in
  '') ;;
  *[!A-Za-z0-9._~:/@%+,-]*) echo "$0: RUNBOOKS is not a plain URL: $runbooks" >&2 && exit 1 ;;
  http://?* | https://?*) ;;
  *) echo "$0: RUNBOOKS does not begin with http:// or https://: $runbooks" >&2 && exit 1 ;;
esac
mkdir -p "$folder/nats" "$folder/users"
# Below, an empty file is as good as none: the call that wrote it died, perhaps of a full disk.

# Runs openssl, which writes its progress to stderr, and shows that only if it fails.
ssl() {
  said=$(openssl "$@" 2>&1) || {
    echo "$0: \`openssl $1\` failed${names:+, for HOSTS as $names}: $said" >&2
    exit 1
  }
}

names=
authority=$folder/authority
if [ ! -e "$folder/nats/server.pem" ]; then
  if [ ! -s "$authority/ca.pem" ] && [ ! -s "$folder/ca.pem" ] && [ ! -s "$folder/nats/ca.pem" ]; then
    mkdir -p "$authority"
    ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Peyvand bus authority" \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
      -keyout "$authority/ca.key" -out "$authority/ca.pem"
  fi
  for trusted in "$folder/ca.pem" "$folder/nats/ca.pem"; do
    if [ -s "$trusted" ] && ! openssl verify -CAfile "$trusted" "$authority/ca.pem" >/dev/null 2>&1; then
      echo "$0: $trusted does not trust the authority in $authority, which would make the missing nats/server.pem:" \
        "take that and nats/server.key from its own authority, or remove ca.pem and nats/ca.pem" >&2
      exit 1
    fi
  done
  for host in ${HOSTS:-nats-1 nats-2 nats-3 localhost 127.0.0.1}; do
    case $host in *:*) kind=IP ;; *[!0-9.]*) kind=DNS ;; *) kind=IP ;; esac
    names=$names${names:+,}$kind:$host
  done
  ssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Peyvand bus" \
    -keyout "$authority/server.key" -out "$authority/server.csr"
  printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s\n' "$names" \
    >"$authority/server.ext"
  ssl x509 -req -in "$authority/server.csr" -CA "$authority/ca.pem" -CAkey "$authority/ca.key" -days 397 \
    -extfile "$authority/server.ext" -out "$authority/server.pem"
  mv "$authority/server.key" "$folder/nats/server.key"
  mv "$authority/server.pem" "$folder/nats/server.pem"
fi
for ours in "$folder/ca.pem" "$folder/nats/ca.pem" "$authority/ca.pem"; do [ ! -s "$ours" ] || break; done
for trusted in "$folder/ca.pem" "$folder/nats/ca.pem"; do [ -s "$trusted" ] || cp "$ours" "$trusted"; done

# Prints the names of existing users of a role: north for users/prober-north.
known() {
  for path in "$folder/users/$1"-*/; do
    path=${path%/}
    [ ! -e "$path/$1.nk" ] || echo "${path##*/"$1"-}"
  done
}
vantages="$(known prober) ${VANTAGES:-}"
buses="$(known collector) ${BUSES:-}"
set --
for vantage in $(echo "$vantages" | tr -s ' \t' '\n' | sort -u); do set -- "$@" --vantage "$vantage"; done
[ $# -gt 0 ] || set -- --vantage main
named=$#
for bus in $(echo "$buses" | tr -s ' \t' '\n' | sort -u); do set -- "$@" --bus "$bus"; done
[ $# -gt "$named" ] || set -- "$@" --bus xroad
"$peyvand" bus users "$folder/users" "$@" --out "$folder/nats/users.conf"

mkdir -p "$folder/archive"
if [ ! -e "$folder/archive/archive.key" ]; then
  rm -f "$folder/archive/archive.pub" # it is of another key
  "$peyvand" archive key "${ARCHIVE:-peyvand.invalid/archive}" "$folder/archive/archive.key" >/dev/null
fi
[ -s "$folder/archive/archive.pub" ] ||
  "$peyvand" archive public-key "$folder/archive/archive.key" >"$folder/archive/archive.pub"

mkdir -p "$folder/alertmanager" "$folder/grafana"
[ -s "$folder/grafana/password" ] || openssl rand -hex 16 >"$folder/grafana/password"
for name in pages tickets; do
  variable=$(echo $name | tr a-z A-Z)_URL
  url=$(eval "echo \"\${$variable:-}\"")
  [ -z "$url" ] || echo "$url" >"$folder/alertmanager/$name-url"
  [ -s "$folder/alertmanager/$name-url" ] ||
    echo "$0: Alertmanager has no webhook for $name and tells nobody of them: give $variable where it runs" >&2
done

if [ -n "$runbooks" ]; then
  echo "$runbooks" >"$folder/runbooks"
  mkdir -p "$folder/rules"
  for file in "$here"/prometheus/rules/*.yaml; do
    sed "s|runbook_url: docs/|runbook_url: ${runbooks%/}/docs/|" "$file" >"$folder/rules/${file##*/}"
  done
  chmod 755 "$folder/rules"
  chmod 644 "$folder/rules"/*.yaml
fi

chmod 711 "$folder"
chmod 644 "$folder/ca.pem"
if [ -n "$owner" ] && [ "$(id -u)" = 0 ]; then
  chown -R "$owner" "$folder/users" "$folder/archive"
  chown -R 65534:65534 "$folder/alertmanager" # the images of Prometheus run as nobody
  chown -R 472:0 "$folder/grafana"            # the user of Grafana's image
fi
