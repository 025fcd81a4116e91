# A static binary with git, which fetches commits, and CA certificates.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -tags nomsgpack,gore2regex -ldflags "-s -w -X main.version=${VERSION}" -o /scanhook ./cmd/scanhook

FROM alpine:3.22
RUN apk add --no-cache git ca-certificates \
    && adduser -D -u 10001 scanhook \
    && install -d -o scanhook -g scanhook /var/lib/scanhook /etc/scanhook
COPY --from=build /scanhook /usr/local/bin/scanhook
COPY config.yaml /etc/scanhook/config.yaml
# A number, so that Kubernetes can see that it is not root.
USER 10001
# The embedded database and the mirrors of projects live in the working directory: mount a volume there.
WORKDIR /var/lib/scanhook
VOLUME /var/lib/scanhook
ENV SCANHOOK_CONFIG=/etc/scanhook/config.yaml SCANHOOK_LOG=json XDG_CACHE_HOME=/var/lib/scanhook/cache
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD wget -q -O /dev/null http://127.0.0.1:8080/readyz || exit 1
ENTRYPOINT ["scanhook"]
CMD ["serve"]
