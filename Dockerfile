# Signet as an image: one binary, a numeric user, nothing to write outside /var/lib/signet.
#
#   docker build --tag signet .
#   docker run --publish 127.0.0.1:8080:8080 --env SIGNET_ISSUER=http://localhost:8080 \
#       --volume signet-data:/var/lib/signet --volume signet-keys:/var/lib/signet/keys \
#       --read-only --tmpfs /tmp --cap-drop ALL --stop-timeout 40 signet
#
# A stop takes up to SIGNET_DRAIN_SECONDS (30), because queued logins still get a response. A stop
# timeout of 40 seconds is enough; the default of `docker stop`, 10 seconds, is not.
#
# The base images are pinned by tag. --build-arg BUILD_IMAGE=… and RUNTIME_IMAGE=… select other
# images, or the same images by digest. The runtime image needs no shell, so
# gcr.io/distroless/cc-debian12 works as well.

ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-20260824-slim

FROM ${BUILD_IMAGE} AS build

# OpenSSL is built from source, with perl and make. The versions of perl and make are not pinned:
# Debian offers only the newest, and neither ends up in the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates make perl \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .

RUN --mount=type=cache,id=signet-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=signet-target,target=/src/target \
    cargo build --locked --release --bin signet \
    && install -D target/release/signet --target-directory=/image/usr/local/bin \
    && install -D --mode=0644 LICENSE-MIT LICENSE-APACHE --target-directory=/image/usr/share/doc/signet \
    # To check the certificate of a database that is reached over TLS.
    && install -D --mode=0644 /etc/ssl/certs/ca-certificates.crt --target-directory=/image/etc/ssl/certs \
    && install --directory --mode=0700 /state /state/keys

FROM ${RUNTIME_IMAGE}

COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /state /var/lib/signet

# A numeric user, so that a platform can check that it is not root.
USER 65532:65532
WORKDIR /var/lib/signet

# SIGNET_ISSUER has no default: it is the public URL, and Signet refuses to listen beyond loopback
# without it.
ENV SIGNET_LISTEN=0.0.0.0:8080 \
    SIGNET_DATABASE_URL=sqlite:/var/lib/signet/signet.db \
    SIGNET_MASTER_KEY_FILE=/var/lib/signet/keys/master.key

# The keys belong in a volume of their own, apart from the data, as in the command above. That
# volume is not declared here: an anonymous volume could be deleted with the container, while the
# data remain.
VOLUME /var/lib/signet
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["signet", "health"]

ENTRYPOINT ["signet"]
CMD ["serve"]
