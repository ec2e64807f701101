"""What one small process costs: verify and sign a file of 1 KiB."""

import subprocess
import sys
from pathlib import Path

from measure import ROOT, Pair, Row, pair, run, write

ROUNDS = 101

POLICY = """apiVersion: obreia/v1
kind: VerificationPolicy
metadata: { name: bench }
spec:
  match: [ { kind: blob, name: blob } ]
  authorities: [ { name: signer, key: key.pub } ]
  signatures: { from: [signer] }
  rules: rules.rego
"""
RULES = """package obreia
default allow := false
allow if count(input.signatures) > 0
"""


def prepare(scratch: Path, obreia: str) -> None:
    (scratch / "blob").write_bytes(bytes(range(256)) * 4)
    (scratch / "policy.yaml").write_text(POLICY)
    (scratch / "rules.rego").write_text(RULES)
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*make, "-out", "key.pem"], check=True, cwd=scratch)
    subprocess.run(["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"], check=True, cwd=scratch)
    sign = ["openssl", "dgst", "-sha256", "-sign", "key.pem", "-out", "blob.sig", "blob"]
    subprocess.run(sign, check=True, cwd=scratch)
    run([obreia, "sign", "blob", "--key", "key.pem", "--force"], scratch)


def milliseconds(measured: Pair, side: str) -> str:
    return f"{measured.median(side, 'cpu') * 1000:.1f} ms CPU"


def absolute(what: str, measured: Pair, limit: float) -> Row:
    value = measured.median("ours", "cpu") * 1000
    return Row(what, milliseconds(measured, "ours"), milliseconds(measured, "peer"), value, limit, " ms")


def main(obreia: str, scratch: Path, command: str) -> bool:
    prepare(scratch, obreia)
    openssl = ["openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "blob.sig", "blob"]
    by_key = pair([obreia, "verify", "blob", "--key", "key.pub"], openssl, scratch, ROUNDS)
    by_policy = pair([obreia, "verify", "blob", "--policy", "policy.yaml"], openssl, scratch, ROUNDS)
    theirs = ["openssl", "dgst", "-sha256", "-sign", "key.pem", "-out", "other.sig", "blob"]
    sign = [obreia, "sign", "blob", "--key", "key.pem", "--force"]
    signing = pair(sign, theirs, scratch, ROUNDS)
    ours, peer = milliseconds(by_key, "ours"), milliseconds(by_key, "peer")
    return write(
        "process",
        command,
        [
            Row("verify 1 KiB by a key; `openssl dgst -verify`", ours, peer, by_key.ratio("cpu"), 1.25),
            absolute("the same, by itself", by_key, 6),
            absolute("verify 1 KiB by a policy with Rego", by_policy, 10),
            absolute("sign 1 KiB with a key file; `openssl dgst -sign`", signing, 35),
        ],
    )


if __name__ == "__main__":
    binary = ROOT / "target" / "dist-full" / "dist" / "obreia"
    place = Path(sys.argv[1]) / "process"
    place.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if main(str(binary), place, "scripts/bench process") else 1)
