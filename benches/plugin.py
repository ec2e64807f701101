"""What one start as cosign's plugin costs: publicKey, which unlocks nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from measure import ROOT, Row, pair, write

ROUNDS = 101


def main(obreia: str, scratch: Path, command: str) -> bool:
    keys, link = scratch / "keys", scratch / "sigstore-kms-kms"
    os.environ |= {"OBREIA_PASSPHRASE": "bench", "OBREIA_CONFIG": str(keys / "obreia.toml")}
    if not keys.exists():
        own = {k: v for k, v in os.environ.items() if k != "OBREIA_CONFIG"}
        subprocess.run([obreia, "init", "keys"], check=True, cwd=scratch, env=own)
        subprocess.run([obreia, "key", "create", "kms://model-sign/bench"], check=True, cwd=scratch)
    subprocess.run([obreia, "plugin", "install", "--dir", str(scratch)], check=True, cwd=scratch)
    # Answering must not depend on it.
    del os.environ["OBREIA_PASSPHRASE"]
    init = {"protocolVersion": "v1", "keyResourceID": "model-sign/bench", "hashFunc": 5}
    request = json.dumps({"initOptions": init, "methodName": "publicKey", "publicKey": {}})
    measured = pair([str(link), "v1", request], ["openssl", "version"], scratch, ROUNDS)
    ours, peer = (measured.median(side, "wall") * 1000 for side in ("ours", "peer"))
    what = "`publicKey` as `sigstore-kms-kms`, start to end; `openssl version`"
    return write("plugin", command, [Row(what, f"{ours:.1f} ms", f"{peer:.1f} ms", ours, 10, " ms")])


if __name__ == "__main__":
    binary = ROOT / "target" / "dist-full" / "dist" / "obreia"
    place = Path(sys.argv[1]) / "plugin"
    place.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if main(str(binary), place, "scripts/bench plugin") else 1)
