# The server's image, for CPU: `make images` builds it, docs/images.md says how to build yours on it.
#
# Two environments on purpose. The server lives in /opt/azmlinfsrv and nowhere else; the script runs on the image's own
# `python`. Whatever `pip install` does to the second cannot break the first.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim

FROM ${PYTHON_IMAGE} AS builder
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/wheel.txt requirements/image.txt requirements/
RUN python -m venv --without-pip wheel \
 && python -m venv --without-pip /opt/azmlinfsrv \
 && pip --python wheel/bin/python install --require-hashes -r requirements/wheel.txt \
 && pip --python /opt/azmlinfsrv/bin/python install --no-compile --require-hashes -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY inference_server inference_server
RUN wheel/bin/python -m hatchling build -t wheel \
 && pip --python /opt/azmlinfsrv/bin/python install --no-compile --no-index --no-deps dist/*.whl
COPY images/base/ /opt/azmlinfsrv/image/
# Compiled here: in a container the server may write nothing. Unchecked: no file's time is looked up at a start.
RUN chmod -R a+rX,go-w /opt/azmlinfsrv \
 && chmod a+x /opt/azmlinfsrv/image/start.sh \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/azmlinfsrv/lib

FROM ${PYTHON_IMAGE} AS server
ARG VERSION=dev
LABEL org.opencontainers.image.title="azmlinfsrv" \
      org.opencontainers.image.description="A score.py as a production endpoint" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
# The published Python images come without compiled files; what starts as nobody could never write them.
RUN groupadd --gid 1000 azmlinfsrv \
 && useradd --uid 1000 --gid 1000 --create-home --home-dir /home/azmlinfsrv --shell /bin/sh azmlinfsrv \
 && install -d -o 1000 -g 0 -m 0775 /var/azureml-app /var/azureml-app/azureml-models \
 && ln -s /opt/azmlinfsrv/bin/azmlinfsrv /usr/local/bin/azmlinfsrv \
 && python -m compileall -q -x '/(site-packages|dist-packages|test|tests|idlelib|lib2to3|ensurepip|turtledemo)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=builder /opt/azmlinfsrv /opt/azmlinfsrv
ENV HOME=/home/azmlinfsrv \
    PATH=/home/azmlinfsrv/.local/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    AML_APP_ROOT=/var/azureml-app \
    AZMLINFSRV_PYTHON=python
WORKDIR /var/azureml-app
USER 1000:1000
EXPOSE 5001
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s --retries=3 \
    CMD ["/opt/azmlinfsrv/bin/python", "-I", "-S", "/opt/azmlinfsrv/image/healthcheck.py"]
ENTRYPOINT ["/opt/azmlinfsrv/bin/dumb-init", "--single-child", "--", "/opt/azmlinfsrv/image/start.sh"]
