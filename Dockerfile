# The service alone: in a container the database is another container.
FROM python:3.13-slim AS build
WORKDIR /srv
COPY requirements-service.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-service.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY migrations migrations
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /srv --shell /usr/sbin/nologin receiver
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 RECEIVER_LOG_FORMAT=json
WORKDIR /srv
USER receiver
EXPOSE 8000
# Readiness: callbacks can be stored. With `--surface callbacks` it needs RECEIVER_OPERATIONS_PORT.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; port = os.environ.get('RECEIVER_OPERATIONS_PORT') or 8000; urllib.request.urlopen(f'http://127.0.0.1:{port}/readyz', timeout=2)"]
ENTRYPOINT ["routee-receiver"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
