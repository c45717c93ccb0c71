module signet.dev/recipes/oauth2-proxy

go 1.23
