# In place of the upstream image of Prometheus: Debian's, as the same user, with the same entry point and folder.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends busybox prometheus && busybox --install -s /usr/local/bin \
    && install -d -o nobody -g nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
