# Images of the nodes:
#   docker build --target edge-node  --tag kerf-edge-node:0.1.0 .
#   docker build --target cloud-node --tag kerf-cloud-node:0.1.0 .
# Both carry `partitioner` too. `.dockerignore` leaves out rust-toolchain.toml, so that the toolchain of
# the image builds, and nothing is downloaded but crates.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p edge-node -p cloud-node -p partitioner

# Has the C library and a user `nonroot` (65532), no shell.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
COPY --from=build /src/target/release/partitioner /usr/local/bin/partitioner

FROM runtime AS edge-node
COPY --from=build /src/target/release/edge-node /usr/local/bin/edge-node
EXPOSE 8000/tcp
ENTRYPOINT ["/usr/local/bin/edge-node"]
CMD ["--config", "/etc/kerf/edge.yaml"]

FROM runtime AS cloud-node
COPY --from=build /src/target/release/cloud-node /usr/local/bin/cloud-node
EXPOSE 4433/udp
ENTRYPOINT ["/usr/local/bin/cloud-node"]
CMD ["--config", "/etc/kerf/cloud.yaml"]
