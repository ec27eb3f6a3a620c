# What builds has gigabytes; what runs has the binary and its libraries. scripts/check_dockerfile.sh tries the steps.
FROM swift:6.3-bookworm AS build
WORKDIR /src
# Before the sources, so that a change of theirs neither installs nor fetches again.
COPY scripts/setup.sh scripts/
RUN scripts/setup.sh
COPY Package.* ./
RUN swift package resolve
COPY . .
RUN swift build -c release --product rocket --static-swift-stdlib \
    && install -D -t /staging .build/release/rocket

# The same Debian as above, so that the libraries are those that were linked.
FROM debian:bookworm-slim
# The certificates are for calls over https; the rest is what `ldd` names.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libcrypt1 libpq5 libre2-9 libsqlite3-0 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/*
# The number is fixed, as the owner of files in a volume is known by it.
RUN groupadd --gid 10001 rocket \
    && useradd --uid 10001 --gid rocket --home-dir /data --no-create-home --shell /usr/sbin/nologin rocket \
    && install -d -o rocket -g rocket -m 0700 /data
COPY --from=build /staging/rocket /usr/local/bin/rocket
# A container's own loopback is out of its neighbours' reach.
ENV ROCKET_DATABASE_DATA_DIR=/data ROCKET_SERVER_HOST=0.0.0.0
USER rocket
# After the folder was made, so that a new volume has its owner.
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Not /ready: while PostgreSQL is away a restart helps nobody. bash speaks TCP, so there is no need of curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD bash -c \
    'exec 3<>/dev/tcp/127.0.0.1/${ROCKET_SERVER_PORT:-8080} \
    && printf "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" >&3 \
    && read -r line <&3 && [[ $line == *" 200 "* ]]'
ENTRYPOINT ["rocket"]
CMD ["serve"]
