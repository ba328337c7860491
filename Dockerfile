# packager in a container, for machines that are not Linux:
#   docker build -t packager .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" packager build models:/churn@champion
# To pin the base, build with --build-arg BASE=python:3.13-slim@sha256:DIGEST.
ARG BASE=python:3.13-slim

FROM ${BASE} AS wheel
ARG UV_VERSION=0.13.9
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /source
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY packager packager
COPY handlers handlers
COPY templates templates
COPY infra infra
# the versions of uv.lock, so that the image of a commit holds the same packages each time
RUN uv build --quiet --wheel --out-dir /dist \
 && uv export --quiet --frozen --no-default-groups --no-emit-project --no-hashes \
      --extra aws --extra parquet --extra sign --extra terraform --output-file /dist/requirements.txt
# compiled here: the user of a container may not write beside what root installed
RUN uv venv --quiet --python "$(command -v python3)" /opt/packager \
 && uv pip install --quiet --compile-bytecode --python /opt/packager/bin/python \
      --requirements /dist/requirements.txt /dist/*.whl

FROM ${BASE}
COPY --from=wheel /opt/packager /opt/packager
# the cache is a volume: a second build is fast where it is kept
ENV PATH=/opt/packager/bin:${PATH} \
    HOME=/home/packager \
    PACKAGER_CACHE=/cache/packager \
    UV_CACHE_DIR=/cache/uv
RUN mkdir -p /cache/packager /cache/uv /work /home/packager \
 && chmod 1777 /cache /cache/packager /cache/uv /work /home/packager
USER 65532:65532
WORKDIR /work
VOLUME /cache
ENTRYPOINT ["packager"]
CMD ["--help"]
