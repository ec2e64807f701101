"""What the way to a PKCS #11 module costs: our provider beside raw cryptoki,
and the whole of signing beside what the disk can confirm."""

import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from measure import ROOT, Row, program, run, write

TEST = "keys::pkcs11::speed::the_way_to_the_module_is_measured"
COUNT = "500"
ROUNDS = 5
AT_ONCE = 64
SIGNATURES = 6400
PIN = "the-pin-of-the-benchmark"


def token(obreia: str, scratch: Path) -> list[str]:
    """A token with a key, and the command that signs with it."""
    modules = [*Path("/usr/lib").glob("softhsm/libsofthsm2.so"), *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so")]
    if not modules:
        sys.exit("SoftHSM is missing: run scripts/peers softhsm")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "tokens").mkdir(parents=True)
    (scratch / "softhsm2.conf").write_text(f"directories.tokendir = {scratch / 'tokens'}\n")
    os.environ |= {
        "SOFTHSM2_CONF": str(scratch / "softhsm2.conf"),
        "OBREIA_PASSPHRASE": "of the benchmark",
        "PKCS11_MODULE_PATH": str(modules[0]),
        "PKCS11_PIN": PIN,
    }
    util = ROOT / "target" / "peers" / "bin" / "softhsm2-util"
    run([util, "--init-token", "--free", "--label", "bench", "--so-pin", "00000000", "--pin", PIN], scratch)
    run([obreia, "init", "place"], scratch)
    run([obreia, "--config", "place/obreia.toml", "key", "create", "pkcs11:token=bench;object=k"], scratch)
    (scratch / "pin").write_text(PIN)
    state = str(scratch / "place" / "state")
    return [program("pipeline"), obreia, str(modules[0]), "pin", state, str(SIGNATURES), str(AT_ONCE)]


def pipeline(obreia: str, scratch: Path) -> Row:
    command = token(obreia, scratch)
    rounds = []
    for _ in range(ROUNDS):
        said = subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.PIPE, text=True).stdout
        signatures, flushes = map(float, said.split())
        rounds.append((flushes / signatures, signatures, flushes))
    ratio, signatures, flushes = statistics.median(rounds)
    what = f"the whole of signing with the durable log, {AT_ONCE} in flight; the disk's own flushes (flushes per signature)"
    return Row(what, f"{signatures:.0f} signatures/s", f"{flushes:.0f} flushes/s", ratio, 2)


def main(obreia: str, scratch: Path, command: str) -> bool:
    build = ["cargo", "test", "--release", "--locked", "--quiet", "--lib", TEST, "--", "--exact", "--nocapture"]
    env = os.environ | {"OBREIA_BENCH_COUNT": COUNT}
    said = subprocess.run(build, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.findall(r"^measured (\d) ours ([\d.]+) raw ([\d.]+) ratio ([\d.]+)$", said, re.M)
    rows = []
    for threads, ours, raw, ratio in found:
        what = {"1": "one signature after the other", "2": "two at once"}[threads]
        rows.append(Row(what, f"{ours} µs", f"{raw} µs", float(ratio), 1.25))
    if len(rows) != 2:
        sys.exit(f"nothing was measured; is SoftHSM there (scripts/peers softhsm)?\n{said}")
    rows.append(pipeline(obreia, scratch))
    return write("pkcs11", command, rows)


if __name__ == "__main__":
    binary = ROOT / "target" / "dist-full" / "dist" / "obreia"
    sys.exit(0 if main(str(binary), Path(sys.argv[1]) / "pkcs11", "scripts/bench pkcs11") else 1)
