# The service alone: in a container the database is another container. Arguments of the build:
#
#   BASE_IMAGE         an image with python3, 3.11 or later, and its module venv
#   EXTRAS             requirements of pyproject.toml's extras, such as "embedded parquet"
#   REVISION, VERSION  the commit and the version, for labels and SOURCE_COMMIT
#   INDEX_CERTIFICATE  PEM text: what signs the package index, where a proxy inspects TLS
#   PIP_INDEX_URL      a package index of your own
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
ARG INDEX_CERTIFICATE=""
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_CERT=/tools/index.pem
WORKDIR /srv
# pip stays in a virtual environment that is left behind.
RUN python3 -m venv /tools && python3 -m venv --without-pip /venv \
    && { cat "$(/tools/bin/python -c 'from pip._vendor import certifi; print(certifi.where())')"; \
         printf '%s\n' "$INDEX_CERTIFICATE"; } > /tools/index.pem
COPY requirements-service.lock requirements-dev.lock pyproject.toml ./
RUN /tools/bin/pip --python /venv/bin/python install --require-hashes -r requirements-service.lock
ARG EXTRAS=""
# The development lock has the tested versions of all extras, with their hashes.
COPY deploy/image/extras.py ./
RUN python3 extras.py requirements-dev.lock ${EXTRAS} > extras.lock \
    && /tools/bin/pip --python /venv/bin/python install --require-hashes -r extras.lock
COPY README.md LICENSE ./
COPY app app
COPY migrations migrations
# What builds the package goes again; modules are compiled, as a running image may be read-only.
RUN /tools/bin/pip --python /venv/bin/python install --no-deps --no-build-isolation . \
    && /tools/bin/pip --python /venv/bin/python uninstall --yes \
        editables hatchling pathspec pluggy trove-classifiers

FROM ${BASE_IMAGE}
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="routee-receiver" \
    org.opencontainers.image.description="Takes Routee's Viber delivery callbacks durably, in any order, and answers for them." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN python3 -c 'import glob, shutil, sysconfig; paths = sysconfig.get_paths(); \
[shutil.rmtree(path, ignore_errors=True) for place in {paths["purelib"], paths["stdlib"], "/usr/lib/python3/dist-packages"} \
for name in ("pip", "pip-*", "setuptools*", "wheel*", "pkg_resources", "ensurepip") for path in glob.glob(f"{place}/{name}")]' \
    && rm -rf /usr/share/python-wheels /usr/local/bin/pip* /usr/bin/pip* \
    && echo 'receiver:x:10001:10001::/data:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'receiver:x:10001:' >> /etc/group \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /venv /venv
# Settings of compose and of `docker run -e` come on top.
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    RECEIVER_LOG_FORMAT=json \
    RECEIVER_DATA_DIR=/data \
    SOURCE_COMMIT=${REVISION}
WORKDIR /data
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8000
# Readiness: callbacks can be stored. With `--surface callbacks` it needs RECEIVER_OPERATIONS_PORT.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["routee-receiver", "healthcheck"]
ENTRYPOINT ["routee-receiver"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
