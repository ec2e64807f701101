"""What the benchmarks share: a command's cost, pairs in one run, the table.

Costs are the kernel's own (wait4): processor time of the command and its
children, and wall time. A ratio is the median of the ratios of neighbouring
runs, so that whatever else the machine does burdens both sides alike.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "benchmarks.md"


@dataclass
class Cost:
    """One run, in seconds."""

    cpu: float
    wall: float


def program(name: str) -> str:
    """Builds one of the programs beside this file; its path."""
    build = ["cargo", "bench", "--locked", "--bench", name, "--no-run"]
    said = subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True).stderr
    return str(ROOT / re.findall(r"Executable .*\((.*)\)", said)[-1])


def binary() -> Path:
    """What is measured: the binary that `OBREIA` names, else the one that
    people download, which scripts/bench builds."""
    named = os.environ.get("OBREIA")
    return Path(named) if named else ROOT / "target" / "dist-full" / "dist" / "obreia"


def run(command: list[str], cwd: Path) -> Cost:
    """Runs a command that must succeed."""
    begin = time.monotonic()
    with open(os.devnull, "wb") as null:
        child = subprocess.Popen(command, cwd=cwd, stdout=null, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {child.returncode}\n{said.decode()}")
    return Cost(used.ru_utime + used.ru_stime, wall)


def peak(command: list[str], cwd: Path) -> float:
    """The largest resident set of a command, in MiB.

    Looked up while it runs: what wait4 tells counts the memory of the process
    that started it.
    """
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    largest = 0
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
            name = Path(f"/proc/{child.pid}/comm").read_text().strip()
        except OSError:
            break
        if name == Path(command[0]).name[:15]:
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    largest = max(largest, int(line.split()[1]))
        time.sleep(0.002)
    child.wait()
    return largest / 1024


@dataclass
class Pair:
    """Ours beside a peer's, measured in turns."""

    ours: list[Cost]
    peer: list[Cost]

    def ratio(self, what: str) -> float:
        return statistics.median(
            getattr(a, what) / getattr(b, what) for a, b in zip(self.ours, self.peer)
        )

    def median(self, side: str, what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in getattr(self, side))


def pair(ours: list[str], peer: list[str], cwd: Path, rounds: int) -> Pair:
    """Both commands in turns, after one round that fills the page cache."""
    run(ours, cwd), run(peer, cwd)
    costs = [(run(ours, cwd), run(peer, cwd)) for _ in range(rounds)]
    return Pair([a for a, _ in costs], [b for _, b in costs])


@dataclass
class Row:
    """One line of the table; `limit` is what the value must not pass."""

    what: str
    ours: str
    peer: str
    value: float
    limit: float
    unit: str = ""

    def held(self) -> bool:
        return self.value <= self.limit

    def line(self) -> str:
        held = "" if self.held() else " **not held**"
        return (
            f"| {self.what} | {self.ours} | {self.peer} "
            f"| {self.value:.2f}{self.unit} | {self.limit:g}{self.unit}{held} |"
        )


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    flags = Path("/proc/cpuinfo").read_text()
    sha = "with" if "sha_ni" in flags or " sha2 " in flags else "without"
    busy = os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    how = ", at real-time priority on a machine in use" if busy else ""
    return f"{os.cpu_count()} cores, {model}, {sha} SHA instructions{how}"


def write(area: str, command: str, rows: list[Row]) -> bool:
    """Prints the rows, puts them into the area's place in docs/benchmarks.md,
    and tells whether all limits were held."""
    text = TABLE.read_text()
    begin, end = f"<!-- {area}:begin -->", f"<!-- {area}:end -->"
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    lines = [
        "",
        f"`{command}` on {machine()}:",
        "",
        "| what | ours | peer | measured | at most |",
        "| --- | --- | --- | --- | --- |",
        *(row.line() for row in rows),
        "",
    ]
    print("\n".join(lines))
    TABLE.write_text(before + begin + "\n".join(lines) + end + after)
    return all(row.held() for row in rows)
