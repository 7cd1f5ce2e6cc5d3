# The hub as one image; docker-compose.yml runs it beside TimescaleDB, mosquitto, coturn and a TLS proxy.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-wqy-microhei postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/telehub-*.whl && useradd --system --uid 10001 --home-dir /var/lib/telehub telehub \
    && install --directory --owner telehub --mode 0700 /var/lib/telehub /backup
USER telehub
ENV HUB_DATA_DIR=/var/lib/telehub
VOLUME /var/lib/telehub /backup
EXPOSE 8080
ENTRYPOINT ["hub"]
CMD ["serve"]
