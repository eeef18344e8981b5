# In place of the upstream image of Alertmanager: Debian's, as the same user, with the same entry point and folder.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends busybox prometheus-alertmanager \
    && busybox --install -s /usr/local/bin && install -d -o nobody -g nogroup /alertmanager
USER nobody
WORKDIR /alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]
