"""Hashing and verifying a model of 2 GiB, beside OpenSSL and model_signing."""

import hashlib
import subprocess
import sys
from pathlib import Path

from measure import ROOT, Pair, Row, pair, peak, run, write

MIB = 1 << 20
ROUNDS = 5


def fill(path: Path, size: int) -> None:
    """Bytes that differ everywhere and are the same on every run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size == size:
        return
    block = hashlib.shake_256(path.name.encode()).digest(min(size, MIB))
    with open(path, "wb") as out:
        for number in range(0, size, MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            out.write(piece[: min(MIB, size - number)])


def prepare(scratch: Path, obreia: str) -> None:
    for number in range(4):
        fill(scratch / "parts" / f"model-{number}.safetensors", 512 * MIB)
    for number in range(200):
        fill(scratch / "parts" / "small" / f"{number}.json", 100 + 97 * number)
    fill(scratch / "whole" / "model.gguf", 2048 * MIB)
    key, public = scratch / "key.pem", scratch / "key.pub"
    if not public.exists():
        make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt"]
        subprocess.run([*make, "ec_paramgen_curve:P-256", "-out", key], check=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    for model in ["parts", "whole"]:
        run([obreia, "sign", model, "--key", "key.pem", "--force"], scratch)


def files(model: Path) -> list[str]:
    found = sorted(p for p in model.rglob("*") if p.is_file() and p.name != "model.sig")
    return [str(p.relative_to(model.parent)) for p in found]


def seconds(measured: Pair, side: str, what: str) -> str:
    name = {"cpu": "CPU", "wall": "wall"}[what]
    return f"{measured.median(side, what):.2f} s {name}"


def compare(what: str, measured: Pair, cost: str, limit: float) -> Row:
    ours, peer = (seconds(measured, side, cost) for side in ["ours", "peer"])
    return Row(what, ours, peer, measured.ratio(cost), limit)


def main(obreia: str, model_signing: str, scratch: Path, command: str) -> bool:
    prepare(scratch, obreia)

    def verify(model: str) -> list[str]:
        return [obreia, "verify", model, "--key", "key.pub"]

    def openssl(model: str) -> list[str]:
        return ["openssl", "dgst", "-sha256", *files(scratch / model)]

    parts = pair(verify("parts"), openssl("parts"), scratch, ROUNDS)
    whole = pair(verify("whole"), openssl("whole"), scratch, ROUNDS)
    theirs = [model_signing, "verify", "key", "--public_key", "key.pub"]
    theirs += ["--signature", "parts/model.sig", "parts"]
    signed = pair(verify("parts"), theirs, scratch, ROUNDS)
    largest = max(peak(verify(model), scratch) for model in ["parts", "whole"])
    many, one = "4 × 512 MiB and 200 small files", "one file of 2 GiB"
    return write(
        "hashing",
        command,
        [
            compare(f"verify {many}; `openssl dgst -sha256`", parts, "cpu", 1.05),
            compare("the same, wall time on two cores", parts, "wall", 0.55),
            compare(f"verify {one}; `openssl dgst -sha256`", whole, "cpu", 1.05),
            compare(f"verify {many}; `model_signing verify`", signed, "cpu", 0.75),
            Row("largest resident set of either", f"{largest:.1f} MiB", "", largest, 24, " MiB"),
        ],
    )


if __name__ == "__main__":
    binary = ROOT / "target" / "dist-full" / "dist" / "obreia"
    peer = ROOT / "target" / "peers" / "bin" / "model_signing"
    for needed, how in [(binary, "scripts/bench"), (peer, "scripts/peers")]:
        if not needed.exists():
            sys.exit(f"{needed} is missing: run {how}")
    place = Path(sys.argv[1])
    sys.exit(0 if main(str(binary), str(peer), place, "scripts/bench hashing") else 1)
