# galcfm with all that the notebooks, the book and the tests need.
#
#   docker build --tag galcfm .                                 for processors
#   docker build --build-arg TORCH=cu130 --tag galcfm:cuda .    for NVIDIA GPUs; several GB more
#
#   docker run --name book --volume "$PWD/data:/galcfm/data" galcfm doit profile=quick book
#   docker cp book:/galcfm/_build/html .                the book; docker start --attach book goes on
#   docker run --name book --gpus all --volume "$PWD/data:/galcfm/data" galcfm:cuda \
#       doit profile=paper book
#   docker run --rm --publish 8888:8888 galcfm          JupyterLab, at the address that it prints
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm

# Which PyTorch: cpu, or a version of CUDA that the host's driver knows. The wheels bring CUDA along.
ARG TORCH=cpu

# Git says which commit results are of. Its version may be any.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /galcfm \
    && useradd --uid 1000 --create-home astronomer \
    && install --directory --owner 1000 /galcfm

WORKDIR /galcfm
# Before the code, so that a change of it does not install everything anew.
COPY requirements.txt ./
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-cache --torch-backend "$TORCH" --requirement requirements.txt

COPY --chown=1000 . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

USER 1000
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "notebooks"]
