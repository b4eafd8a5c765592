# The rendezvous as one static binary; the page is inside it.
#
#   docker build -t rendezvous . && docker run --rm -p 8080:8080 rendezvous
#
# Settings go by environment (RENDEZVOUS_LISTEN, RENDEZVOUS_TOKEN, RENDEZVOUS_TRUSTED_PROXIES='["10.0.0.0/8"]', …), so
# that the health check reads the same ones.

# Alpine's Rust links musl statically by itself.
FROM rust:1.95.0-alpine AS build
RUN apk add --no-cache musl-dev make
WORKDIR /src
COPY . .
# Otherwise rustup would fetch the components that rust-toolchain.toml lists for developers.
ENV RUSTUP_TOOLCHAIN=1.95.0
# The cache mounts outlive the layer, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package rendezvous --bin rendezvous \
    && install -m 0755 target/release/rendezvous /rendezvous

FROM scratch
COPY --from=build /rendezvous /rendezvous
USER 1000:1000
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=2s CMD ["/rendezvous", "--healthcheck"]
ENTRYPOINT ["/rendezvous"]
