export APPLICATION_PORT=$((PORT + 1))
"$OUT/application" &

exec "$OUT/oauth2-proxy" \
  --http-address="127.0.0.1:$PORT" \
  --upstream="http://127.0.0.1:$APPLICATION_PORT" \
  --provider=oidc \
  --oidc-issuer-url="$ISSUER" \
  --client-id="$CLIENT_ID" \
  --client-secret="$CLIENT_SECRET" \
  --redirect-url="http://127.0.0.1:$PORT/oauth2/callback" \
  --code-challenge-method=S256 \
  --insecure-oidc-allow-unverified-email \
  --email-domain='*' \
  --cookie-secret="$(openssl rand -hex 16)" \
  --cookie-secure=false \
  --skip-provider-button \
  --skip-jwt-bearer-tokens \
  --oidc-extra-audience="$AUDIENCE" \
  --api-route='^/whoami'
