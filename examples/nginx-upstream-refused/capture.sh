#!/usr/bin/env bash
# nginx in front of two backends; both die, one after the other, and one comes back.
# Needs: nginx, python3, curl. Writes incident.log, access and error log in one stream as in nginx's image (about 25 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/shop
out=$here/incident.log
rm -rf "$home" && mkdir -p "$home/site"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
: >"$out"
export TZ=UTC
cat >"$home/nginx.conf" <<'CONF'
daemon off;
worker_processes 2;
pid /srv/shop/nginx.pid;
error_log /dev/stderr notice;
events {}
http {
    access_log /dev/stdout combined;
    client_body_temp_path /srv/shop/body; proxy_temp_path /srv/shop/proxy; fastcgi_temp_path /srv/shop/fastcgi;
    uwsgi_temp_path /srv/shop/uwsgi; scgi_temp_path /srv/shop/scgi;
    upstream shop {
        server 127.0.0.1:8421 max_fails=3 fail_timeout=2s;
        server 127.0.0.1:8422 max_fails=3 fail_timeout=2s;
    }
    server {
        listen 127.0.0.1:8420;
        server_name shop.example;
        location / { proxy_pass http://shop; proxy_connect_timeout 1s; proxy_set_header Host $host; }
    }
}
CONF
for page in index cart basket login product-1 product-2 product-3; do echo "<h1>$page</h1>" >"$home/site/$page.html"; done
backend() { exec /usr/bin/python3 -m http.server "$1" --bind 127.0.0.1 --directory "$home/site" >/dev/null 2>&1; }
backend 8421 & first=$!
backend 8422 & second=$!
nginx -e /dev/stderr -c "$home/nginx.conf" >>"$out" 2>&1 &
front=$!
sleep 1
visits() {
    local pages=(index cart basket login product-1 product-2 product-3 missing)
    for visit in $(seq 1 "$1"); do
        curl -s -o /dev/null -A "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" \
            -H 'Host: shop.example' -e "https://shop.example/" "http://127.0.0.1:8420/${pages[RANDOM % 8]}.html"
        sleep 0.03
    done
}
visits 120
kill "$first"; visits 60
kill "$second"; visits 120
backend 8422 & visits 60
kill -QUIT "$front" && wait "$front" || true
