# Builds oauth2-proxy and the application behind it, into $OUT.
set -eu
cd "$(dirname "$0")"
GOBIN=$OUT go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6
go build -o "$OUT/application" .
cp run.sh "$OUT"
