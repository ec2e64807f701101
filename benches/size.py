"""How large the released binaries are: profiles `dist` and `dist-verify`, stripped."""

import os
import subprocess
import sys

from measure import ROOT, Row, write

MIB = 1_000_000


def built(folder: str, profile: str, *flags: str) -> float:
    """Builds, and tells the size in MB."""
    target = ROOT / "target" / folder
    command = ["cargo", "build", "--quiet", "--locked", "--profile", profile, *flags]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return (target / profile / "obreia").stat().st_size / MIB


def main() -> bool:
    # In one folder, since they share most packages; the full one stays there.
    plain = built("dist-full", "dist")
    full = built("dist-full", "dist", "--features", "full")
    verify = built("dist-verify", "dist-verify", "--no-default-features", "--features", "verify")
    return write(
        "size",
        "scripts/bench size",
        [
            Row("everything, with the clouds' SDKs (`--profile dist --features full`)", f"{full:.1f} MB", "", full, 35, " MB"),
            Row("without the clouds' SDKs (`--profile dist`)", f"{plain:.1f} MB", "", plain, 20, " MB"),
            Row("only verification (`--profile dist-verify --no-default-features --features verify`)", f"{verify:.1f} MB", "", verify, 8, " MB"),
        ],
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
