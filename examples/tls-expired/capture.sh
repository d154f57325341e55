#!/usr/bin/env bash
# A server's certificate runs out while a client is working. Needs: openssl 3, python3, curl. Writes incident.log (40 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/courier port=8441
out=$here/incident.log
rm -rf "$home" && mkdir -p "$home/new"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
cp "$here/client.py" "$home/"
cd "$home"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj "/CN=Courier Test CA" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj "/CN=localhost" 2>/dev/null
mkdir -p issued && : >index.txt && echo 01 >serial
cat >ca.conf <<'CONF'
[ca]
default_ca = courier
[courier]
database = index.txt
serial = serial
new_certs_dir = issued
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = DNS:localhost
CONF
soon=$(date -u -d '+25 seconds' +%Y%m%d%H%M%SZ)
openssl ca -batch -config ca.conf -in server.csr -out server.pem -notext -startdate "$(date -u -d '-1 hour' +%Y%m%d%H%M%SZ)" \
    -enddate "$soon" 2>/dev/null
openssl s_server -quiet -accept "$port" -cert server.pem -key server.key -WWW >/dev/null 2>&1 &
mkdir -p parcels && for parcel in $(seq 70001 70120); do echo "{\"parcel\": $parcel, \"state\": \"in transit\"}" >"parcels/$parcel"; done
sleep 0.5
{
    /usr/bin/python3 client.py "https://localhost:$port" ca.pem 120 || echo "exit status $?"
    echo "+ curl -sS --cacert ca.pem https://localhost:$port/parcels/70001"
    curl -sS --cacert ca.pem "https://localhost:$port/parcels/70001" || echo "exit status $?"
    echo "+ openssl x509 -in server.pem -noout -subject -dates"
    openssl x509 -in server.pem -noout -subject -dates
} >"$out" 2>&1
