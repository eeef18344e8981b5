# In place of the upstream image of NATS, where no image can be pulled: the same binary, wget for the health check.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends busybox && busybox --install -s /usr/local/bin
COPY nats-server /usr/local/bin/nats-server
ENTRYPOINT ["/usr/local/bin/nats-server"]
