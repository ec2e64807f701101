"""What a signature by a key in OpenBao costs us, beside the one HTTP request."""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from measure import ROOT, Pair, Row, program, run, write

ROUNDS = 7
COUNT = 2000
TOKEN = "token-of-the-benchmark"


def free() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % taken.getsockname()[1]


def ask(address: str, method: str, path: str, body: dict | None = None) -> None:
    request = urllib.request.Request(
        f"{address}/v1/{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers={"X-Vault-Token": TOKEN},
        method=method,
    )
    urllib.request.urlopen(request, timeout=10).close()


def serve(scratch: Path) -> tuple[subprocess.Popen, str]:
    bao = ROOT / "target" / "peers" / "bin" / "bao"
    if not bao.exists():
        sys.exit(f"{bao} is missing: run scripts/peers once")
    host = free()
    flags = [f"-dev-root-token-id={TOKEN}", f"-dev-listen-address={host}", "-dev-no-store-token"]
    with open(scratch / "bao.log", "wb") as log:
        server = subprocess.Popen(
            [bao, "server", "-dev", *flags],
            env={"PATH": os.environ["PATH"], "HOME": str(scratch)},
            stdout=log,
            stderr=log,
        )
    for _ in range(200):
        try:
            ask(f"http://{host}", "GET", "sys/health")
            return server, f"http://{host}"
        except OSError:
            time.sleep(0.1)
    server.kill()
    sys.exit("bao does not come up: see bao.log")


def main(obreia: str, scratch: Path, command: str) -> bool:
    # A proxy is not asked for a server of this machine.
    os.environ["NO_PROXY"] = "127.0.0.1"
    binary = program("vault")
    place = scratch / "place"
    if not place.exists():
        os.environ["OBREIA_PASSPHRASE"] = "of the benchmark"
        run([obreia, "init", str(place)], scratch)
    (scratch / "token").write_text(TOKEN)
    server, address = serve(scratch)
    try:
        ask(address, "PUT", "sys/mounts/transit", {"type": "transit"})
        ask(address, "PUT", "transit/keys/bench", {"type": "ecdsa-p256"})

        def signing(mode: str, clients: int, *state: str) -> list[str]:
            return [binary, mode, address, "token", "bench", str(COUNT), str(clients), *state]

        ours, logged, bare = signing("ours", 1), signing("ours", 1, str(place / "state")), signing("bare", 1)
        run(ours, scratch), run(logged, scratch), run(bare, scratch)
        costs = [(run(ours, scratch), run(logged, scratch), run(bare, scratch)) for _ in range(ROUNDS)]
        latency = [
            float(subprocess.run(signing("ours", 8, str(place / "state")), cwd=scratch, check=True, capture_output=True).stdout)
            for _ in range(ROUNDS)
        ]
    finally:
        server.kill()
        server.wait()

    def overhead(what: str, at: int) -> Row:
        measured = Pair([cost[at] for cost in costs], [cost[2] for cost in costs])
        each = lambda side: measured.median(side, "cpu") / COUNT * 1000
        value = statistics.median(a.cpu - b.cpu for a, b in zip(measured.ours, measured.peer)) / COUNT * 1000
        return Row(what, f"{each('ours'):.2f} ms CPU", f"{each('peer'):.2f} ms CPU", value, 1, " ms")

    worst = statistics.median(latency)
    return write(
        "vault",
        command,
        [
            overhead("more than the bare HTTP request, per signature", 0),
            overhead("the same with the durable audit log", 1),
            Row("95 of 100 signatures, 8 clients, audit log", f"{worst:.1f} ms wall", "", worst, 150, " ms"),
        ],
    )


if __name__ == "__main__":
    binary = ROOT / "target" / "dist-full" / "dist" / "obreia"
    place = Path(sys.argv[1]) / "vault"
    place.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if main(str(binary), place, "scripts/bench vault") else 1)
