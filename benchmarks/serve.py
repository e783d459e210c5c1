"""Load-test `larq-dense serve` on the loopback interface by wrk (Debian's package of that name).

    python benchmarks/serve.py ecssd photo.jpg --seconds 60

Three loads, each for so many seconds: as many clients as there are workers; as many as there are
places, in work and in the queue; and twice as many as that. A client posts its next picture as soon
as it has its answer. For each load: pictures a second, the processor's time for each (which other
work on the machine changes least), the answers by status, the latency of all answers, and the
server's memory in each tenth of the time. Then SIGTERM is sent under full load, and the exit code
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

LUA = Path(__file__).with_suffix(".lua")
PROGRAM = "from larq_dense.cli import main; main(prog_name='larq-dense')"


def start(model: str, options: list[str]) -> tuple[subprocess.Popen[str], str]:
    """Start a server and return it with its URL, once it has answered."""
    command = [sys.executable, "-c", PROGRAM, "serve", model, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split()[3].rstrip(";")
    with urllib.request.urlopen(f"{url}/health"):
        return process, url


def post(url: str, picture: Path, clients: int, seconds: int) -> subprocess.Popen[str]:
    """Start wrk with so many clients."""
    command = ["wrk", "--threads", "1", "--connections", str(clients)]
    command += ["--duration", f"{seconds}s", "--timeout", "60s", "--script", str(LUA), url]
    environment = {**os.environ, "PICTURE": str(picture)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def memory(process: subprocess.Popen[str]) -> float:
    """Return what a process keeps in memory, in MB."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (each for each in text.splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def processor_time(process: subprocess.Popen[str]) -> float:
    """Return the seconds that a process has computed, on all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(
    server: subprocess.Popen[str], url: str, picture: Path, clients: int, seconds: int
) -> dict[str, Any]:
    """Put a load on the server and return what came of it."""
    wrk = post(url, picture, clients, seconds)
    samples, before = [], processor_time(server)
    while wrk.poll() is None:
        samples.append(memory(server))
        time.sleep(1)
    printed, _ = wrk.communicate()
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    found["per_second"] = found["done_200"] / found["seconds"]
    found["processor_ms"] = 1000 * (processor_time(server) - before) / found["done_200"]
    found["mb"] = [round(samples[len(samples) * part // 10], 1) for part in range(10)]
    return found


def main() -> None:
    """Measure and print one JSON document, or fail where an answer was neither 200 nor 503."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="a zoo entry or a .tflite file")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=int, default=60, help="of each load")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--format", default="mask", help="mask, overlay, cutout or json")
    parser.add_argument("--runtime", default="auto")
    arguments = parser.parse_args()
    from larq_dense.common.machine import describe_machine

    options = ["--workers", str(arguments.workers), "--queue", str(arguments.queue)]
    server, url = start(arguments.model, [*options, "--runtime", arguments.runtime])
    address, picture = f"{url}/predict?format={arguments.format}", arguments.picture
    places = arguments.workers + arguments.queue
    found: dict[str, Any] = {"machine": describe_machine(), "loads": {}}
    try:
        load(server, address, picture, arguments.workers, 3)  # to warm up
        for clients in (arguments.workers, places, 2 * places):
            row = load(server, address, picture, clients, arguments.seconds)
            found["loads"][f"{clients} clients"] = row
        last = post(address, picture, places, 5)
        time.sleep(2)
        server.send_signal(signal.SIGTERM)
        found["exit_code"] = server.wait(timeout=60)
        last.wait()
    finally:
        server.kill()
    print(json.dumps(found, indent=2))
    if found["exit_code"] or any(row["others"] for row in found["loads"].values()):
        raise SystemExit("an answer was neither 200 nor 503, or the server did not exit with 0")


if __name__ == "__main__":
    main()
