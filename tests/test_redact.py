"""No planted secret gets through, and what diagnosis needs survives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.probes.engine import recordable
from doctor.redact import Redactor

MUST_SURVIVE = (
    "c10::Error", "at::cuda::blas", "std::runtime_error", "12.8.4.1", "libcublas.so.12.8.4.1", "570.133.20", "0000:9a:00.0",
    "GPU 00000000:41:00.0", "gfx90a:sramecc+:xnack-", "sm_120", "0x000000d1", "compute_90a", "cuda==12.4.1",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/dev/dri/renderD128", "nvcr.io/nvidia/pytorch:24.01-py3", "rocm/pytorch:latest", "Driver Version: 535.104.05",
    "cuda=10.2.0.89", "tokenizer: LlamaTokenizerFast", "max_tokens=4096", "CUDA error: out of memory", "127.0.0.1:8080",
    "--max-tokens 4096", "--tokenizer mistralai/Mistral-7B", '"--token-file", "/run/secrets/hf"', "bypass=1", "PASS: all_reduce 12.5 GB/s",
    "docker run -u nginx:nginx trainer", "curl https://x | docker run --user 1000:1000 trainer", "--add-host host.docker.internal:host-gateway",
    "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234", "nvidia-cublas-cu12==12.4.5.8", "eos_token_id: 128001",
)  # fmt: skip
SECRETS = (
    ("HF_TOKEN=hf_aBcDeFgHiJkLmNoPqRsTuVwX", "hf_aBcDeFgHiJkLmNoPqRsTuVwX"),
    ("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("AWS_ACCESS_KEY_ID AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("https://bob:s3cr3t@registry.example.com/v2/", "s3cr3t"),
    ('"auth": "dXNlcjpwYXNz"', "dXNlcjpwYXNz"),
    ("password=hunter2hunter", "hunter2hunter"),
    ("--api-key 9f8e7d6c5b4a", "9f8e7d6c5b4a"),
    ("WANDB_API_KEY: 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123"),
    ("token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJhbGci"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXk"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefg"),
    ('["serve", "--api-key", "s3cretValueAbc", "--port", "80"]', "s3cretValueAbc"),
    ('["sh", "-c", "run --config \\"{\\\\\\"password\\\\\\": \\\\\\"two words\\\\\\"}\\""]', "words"),
    ("--password hunter2222 --model x", "hunter2222"),
    ('password = "two words here"', "words here"),
    ("DB_PASS=abc12345", "abc12345"),
    ("dckr_pat_abcdefghij0123456789ABC", "abcdefghij"),
    ("https://x.blob.core.windows.net/a?sv=1&sig=abcDEF%2Fghi%3D&se=2", "abcDEF"),
    ("DefaultEndpointsProtocol=https;AccountKey=abc123+/def==;EndpointSuffix", "abc123"),
    ("https://hooks.slack.com/services/T000/B000/XXXXYYYY", "XXXXYYYY"),
    ("client_secret%3Dabc123def", "abc123def"),
    ("ya29.a0AfH6SMBabcdefghijklmnop", "a0AfH6SMB"),
    ("curl -f -u bob:hunter2secret http://localhost", "hunter2"),
    ('{"Test": ["CMD", "curl", "--user", "bob:hunter2secret", "http://x"]}', "hunter2"),
    ('["CMD-SHELL", "curl --user=\\"bob:hunter2secret\\" x || exit 1"]', "hunter2"),
)
IDENTITIES = (
    ("connect to 10.1.2.3 failed", "10.1.2.3"),
    ("192.168.7.44:2375", "192.168.7.44"),
    ("from 203.0.113.9 port 22", "203.0.113.9"),
    ("inet6 fe80::1ff:fe23:4567:890a", "fe80::1ff"),
    ("link/ether 02:42:ac:11:00:02", "02:42:ac:11:00:02"),
    ("GPU-5ad7a7e5-0a4d-0c4f-8f1e-0123456789ab", "5ad7a7e5"),
    ("Serial Number : 1322521045678", "1322521045678"),
    ("/home/alice/models", "alice"),
    ("mail alice@example.com", "alice@example.com"),
    ("registry.corp.example.com:5000/team/trainer:2.3", "corp.example"),
    ("gpu-07 kernel: NVRM", "gpu-07"),
)


@pytest.mark.parametrize("text", MUST_SURVIVE)
def test_survives(text: str) -> None:
    redactor = Redactor("gpu-07", "alice")
    assert redactor.identities(redactor.secrets(text)) == text


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secret_goes(text: str, secret: str) -> None:
    redactor = Redactor()
    assert secret not in redactor.secrets(text)
    assert redactor.counts.total() if hasattr(redactor.counts, "total") else sum(redactor.counts.values())


@pytest.mark.parametrize(("text", "name"), IDENTITIES)
def test_identity_goes(text: str, name: str) -> None:
    assert name not in Redactor("gpu-07", "alice").identities(text)


@pytest.mark.parametrize(
    ("before", "word", "kept"),
    [
        ("-e", "LICENCE=planted", "LICENCE"), ("--env", "CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=0"), ("", "-eLICENCE=planted", "-eLICENCE"),
        ("", "--env=LICENCE=planted", "--env=LICENCE"), ("", "--label=team=planted", "--label=team"), ("-l", "team=planted", "team"),
        ("", "--env-file=/run/secrets/env", "--env-file=/run/secrets/env"), ("-v", "/a:/b", "/a:/b"), ("bash", "-lc", "-lc"), ("", "-e", "-e"),
    ],
)  # fmt: skip
def test_a_command_line_without_its_variables(before: str, word: str, kept: str) -> None:
    assert recordable(before, word) == kept


def test_relations_are_kept() -> None:
    redactor = Redactor("gpu-07", "alice")
    one = redactor.identities("10.1.2.3 on gpu-07")
    other = redactor.identities("10.1.2.3 and 10.1.2.4 on gpu-07")
    assert one == "<ip-1> on <host-1>"
    assert other == "<ip-1> and <ip-2> on <host-1>"


@pytest.mark.parametrize("text", [text for text, _ in SECRETS + IDENTITIES])
def test_twice_is_once(text: str) -> None:
    redactor = Redactor("gpu-07", "alice")
    once = redactor.identities(redactor.secrets(text))
    assert redactor.identities(redactor.secrets(once)) == once


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    redactor = Redactor("gpu-07", "alice")
    once = redactor.secrets(text)
    assert redactor.secrets(once) == once
