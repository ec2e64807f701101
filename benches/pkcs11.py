"""What the way to a PKCS #11 module costs: our provider beside raw cryptoki."""

import os
import re
import subprocess
import sys

from measure import ROOT, Row, write

TEST = "keys::pkcs11::speed::the_way_to_the_module_is_measured"
COUNT = "500"


def main(command: str) -> bool:
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
    return write("pkcs11", command, rows)


if __name__ == "__main__":
    sys.exit(0 if main("scripts/bench pkcs11") else 1)
