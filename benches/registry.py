"""Registries: copying a large image beside skopeo and curl, and verifying
images beside fetching the same with curl.

The registries are of our own, on this machine; only the clients' cost is
counted. Each copy goes to a registry that has nothing yet.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from measure import ROOT, Cost, Pair, Row, binary, pair, peak, run, write

MIB = 1 << 20
LAYERS = 5
ROUNDS = 5
SMALL_ROUNDS = 21
IMAGES = 200
PEERS = ROOT / "target" / "peers" / "bin"
OCI = "application/vnd.oci.image"


@contextlib.contextmanager
def registry(place: Path, name: str = "registry"):
    """One that listens at a free port; its host and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host, data = f"127.0.0.1:{port}", place / f"{name}-{port}"
    data.mkdir(parents=True)
    if name == "olareg":
        args = ["serve", "--addr", "127.0.0.1", "--port", str(port), "--store-type", "mem"]
    else:
        config = data / "config.yml"
        config.write_text(
            "version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\n"
            f"storage: {{ filesystem: {{ rootdirectory: {data / 'data'} }} }}\n"
            f"http: {{ addr: '{host}' }}\n"
        )
        args = ["serve", str(config)]
    with open(data / "log", "wb") as log:
        child = subprocess.Popen([PEERS / name, *args], stdout=log, stderr=log)
    try:
        begin = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"http://{host}/v2/").close()
                break
            except OSError:
                if time.monotonic() - begin > 60 or child.poll() is not None:
                    sys.exit(f"{name} does not come up: {(data / 'log').read_text()}")
                time.sleep(0.05)
        yield host
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(data)


def ask(method: str, url: str, body: bytes | None = None, kind: str = "application/octet-stream"):
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Content-Type", kind)
    request.add_header("Accept", f"{OCI}.manifest.v1+json, {OCI}.index.v1+json, */*")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return error.headers, None
        sys.exit(f"{method} {url}: {error.code} {error.read().decode()}")


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def upload(host: str, name: str) -> str:
    """Where to send a blob."""
    headers, _ = ask("POST", f"http://{host}/v2/{name}/blobs/uploads/", b"")
    to = headers["Location"]
    to = to if to.startswith("http") else f"http://{host}{to}"
    return to + ("&" if "?" in to else "?")


def put_image(host: str, name: str, tag: str, layers: list[bytes]) -> str:
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": {"tag": tag}}})
    blobs = [config.encode(), *layers]
    for blob in blobs:
        ask("PUT", f"{upload(host, name)}digest={digest(blob)}", blob)
    kinds = [f"{OCI}.config.v1+json", *[f"{OCI}.layer.v1.tar"] * len(layers)]
    config, *rest = [
        {"mediaType": kind, "digest": digest(blob), "size": len(blob)}
        for kind, blob in zip(kinds, blobs)
    ]
    kind = f"{OCI}.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": rest}
    content = json.dumps(manifest).encode()
    ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", content, kind)
    return digest(content)


def keys(scratch: Path) -> None:
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*make, "-out", scratch / "key.pem"], check=True, stderr=subprocess.DEVNULL)
    public = ["openssl", "pkey", "-in", scratch / "key.pem", "-pubout", "-out", scratch / "key.pub"]
    subprocess.run(public, check=True)
    (scratch / "predicate.json").write_text('{"bench": true}')


def layer(number: int) -> bytes:
    """Bytes that differ everywhere and are the same on every run."""
    block = hashlib.shake_256(b"%d" % number).digest(MIB)
    return b"".join(piece.to_bytes(8, "big") + block[8:] for piece in range(100))


def copying(obreia: str, scratch: Path, place: Path) -> list[Row]:
    layers = [layer(number) for number in range(LAYERS)]
    for number, content in enumerate(layers):
        (place / f"layer-{number}").write_bytes(content)
    names = [digest(content) for content in layers]
    with registry(place) as source:
        put_image(source, "bench/app", "v1", layers)
        del layers
        image = f"{source}/bench/app:v1"
        run([obreia, "sign", image, "--key", "key.pem"], scratch)
        attest = [obreia, "attest", image, "--type", "https://example.com/bench"]
        run([*attest, "--predicate", "predicate.json", "--key", "key.pem"], scratch)

        def ours(to: str) -> list[str]:
            return [obreia, "copy", image, f"{to}/bench/app:v1"]

        def skopeo(to: str) -> list[str]:
            plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
            return ["skopeo", "copy", "-q", *plain, f"docker://{image}", f"docker://{to}/bench/app:v1"]

        def curl(to: str) -> list[str]:
            moves = [
                f"curl -sSf http://{source}/v2/bench/app/blobs/{name} | curl -sSf -o /dev/null"
                f" -H 'Content-Type: application/octet-stream' -T - '{upload(to, 'bench/app')}digest={name}'"
                for name in names
            ]
            return ["bash", "-c", f"set -euo pipefail; {'; '.join(moves)}"]

        def once(command) -> Cost:
            with registry(place) as to:
                return run(command(to), scratch)

        openssl = ["openssl", "dgst", "-sha256", *(f"{place}/layer-{n}" for n in range(LAYERS))]
        once(ours), once(skopeo), once(curl)
        beside, bare = Pair([], []), Pair([], [])
        for _ in range(ROUNDS):
            cost = once(ours)
            beside.ours.append(cost)
            bare.ours.append(cost)
            beside.peer.append(once(skopeo))
            moved, hashed = once(curl), run(openssl, scratch)
            bare.peer.append(Cost(moved.cpu + hashed.cpu, moved.wall + hashed.wall))
        with registry(place) as to:
            largest = peak(ours(to), scratch)
            held = [obreia, "verify", f"{to}/bench/app:v1", "--key", "key.pub"]
            run(held, scratch)
    what = f"copy {LAYERS} × 100 MiB and its referrers between two registries"

    def row(text: str, measured: Pair, cost: str, limit: float) -> Row:
        ours, peer = (f"{measured.median(side, cost):.2f} s" for side in ["ours", "peer"])
        return Row(text, ours, peer, measured.ratio(cost), limit)

    return [
        row(f"{what}; `skopeo copy` (CPU)", beside, "cpu", 0.7),
        row("the same; `curl` GET into PUT, and `openssl dgst` (CPU)", bare, "cpu", 1.15),
        row("the same; `skopeo copy` (wall)", beside, "wall", 1.0),
        Row("largest resident set", f"{largest:.1f} MiB", "", largest, 32, " MiB"),
    ]


def fetched(host: str, name: str, image: str) -> list[str]:
    """What has to be fetched to verify an image with one signature."""
    base = f"http://{host}/v2/{name}"
    urls = [f"{base}/referrers/{image}"]
    _, listed = ask("GET", urls[0])
    if listed is None:
        urls.append(f"{base}/manifests/{image.replace(':', '-')}")
        _, listed = ask("GET", urls[-1])
    for entry in json.loads(listed)["manifests"]:
        urls.append(f"{base}/manifests/{entry['digest']}")
        _, manifest = ask("GET", urls[-1])
        urls.append(f"{base}/blobs/{json.loads(manifest)['layers'][0]['digest']}")
    return urls


def verifying(obreia: str, scratch: Path, place: Path) -> list[Row]:
    rows = []
    for name, how in [("olareg", "which lists referrers"), ("registry", "where clients keep the list")]:
        with registry(place, name) as host:
            images = []
            for number in range(IMAGES):
                tag = f"v{number}"
                images.append(put_image(host, "bench/app", tag, [b"a layer of %d" % number]))
                run([obreia, "sign", f"{host}/bench/app:{tag}", "--key", "key.pem"], scratch)
            (scratch / "targets").write_text("".join(f"{host}/bench/app@{image}\n" for image in images))
            urls = [fetched(host, "bench/app", image) for image in images]
            fetch = 'header = "Accept: */*"\nheader = "Accept: application/vnd.oci.image.index.v1+json"\n'
            fetch += 'header = "Accept: application/vnd.oci.image.manifest.v1+json"\n'
            listed = "".join(f'url = "{url}"\noutput = "/dev/null"\n' for image in urls for url in image)
            (scratch / "all").write_text(fetch + listed)
            one = "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls[0])
            (scratch / "one").write_text(fetch + one)
            verify = [obreia, "verify", f"{host}/bench/app@{images[0]}", "--key", "key.pub"]
            single = pair(verify, ["curl", "-sS", "-K", "one"], scratch, SMALL_ROUNDS)
            verify = [obreia, "verify", "--targets-file", "targets", "--key", "key.pub"]
            every = ["curl", "-sS", "-Z", "--parallel-max", "8", "-K", "all"]
            several = pair(verify, every, scratch, ROUNDS)

            def row(what: str, measured: Pair, limit: float) -> Row:
                ours, peer = (f"{measured.median(side, 'wall') * 1000:.1f} ms" for side in ["ours", "peer"])
                return Row(what, ours, peer, measured.ratio("wall"), limit)

            count = len(urls[0])
            what = f"verify one image by digest, {count} requests, {how}; `curl` of the same (wall)"
            rows.append(row(what, single, 2))
            what = f"verify {IMAGES} digests in one call; `curl -Z` of the same {count * IMAGES} requests, 8 at once (wall)"
            rows.append(row(what, several, 2))
    return rows


def main(obreia: str, scratch: Path, command: str) -> bool:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    keys(scratch)
    # What lies in memory is not slowed down by the disk, on either side.
    memory = Path("/dev/shm")
    room = memory.is_dir() and shutil.disk_usage(memory).free > 8 << 30
    place = (memory if room else scratch) / f"obreia-bench-{os.getpid()}"
    place.mkdir()
    try:
        rows = copying(obreia, scratch, place) + verifying(obreia, scratch, place)
    finally:
        shutil.rmtree(place)
    return write("registry", command, rows)


if __name__ == "__main__":
    for needed in [PEERS / "registry", PEERS / "olareg"]:
        if not needed.exists():
            sys.exit(f"{needed} is missing: run scripts/peers")
    for needed in ["skopeo", "curl", "openssl"]:
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is missing")
    sys.exit(0 if main(str(binary()), Path(sys.argv[1]) / "registry", "scripts/bench registry") else 1)
