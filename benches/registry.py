#!/usr/bin/env python3
"""Times push, pull and copy of an image with 8 layers of 64 MB against docker, podman and skopeo.

    benches/registry.py [--runs N] [--skiff BINARY] [--layers N] [--megabytes N] [--markdown FILE]

One Debian `docker-registry` on loopback serves all of them in one session; the
tools take turns, and medians are compared. Processor time is that of the tool,
its daemon and the registry together: on a busy machine it says more than the
clock, and no push is faster than its half on two cores. Cold means: an empty registry for a
push, no layer in the store for a pull; Skiff gets a new store each time, so that
nothing it remembers of an earlier push helps it. Needs root, docker-registry,
podman, skopeo and the peer engine (SKIFF_PEER, scripts/peer-engine make); what
is not there is left out of the table.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PEER = HERE / "scripts/peer-engine"
NAME = "bench/app:1"


def sh(*args, **kwargs):
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{args} failed\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode().strip()


class Registry:
    """Debian's registry on a free port."""

    def __init__(self, work):
        self.data, self.log = work / "registry", work / "registry.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        self.config = work / "registry.yml"
        self.config.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self.data}}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: {self.host}}}\n"
        )
        self.process = None

    def start(self):
        env = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.config], stdout=log, stderr=log, env=env)
        host, port = self.host.split(":")
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        sys.exit("the registry does not answer")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def size(self):
        return sum(path.stat().st_size for path in self.data.rglob("data"))

    def empty(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()


class Skiff:
    name = "skiff"

    def __init__(self, binary, work, host):
        self.binary, self.work, self.host, self.peak = binary, work, host, 0
        self.store = work / "skiff"

    def call(self, *args):
        # Started by a small process: the kernel counts the memory of the one that forks as well.
        note = self.work / "peak"
        sh("/usr/bin/time", "-q", "-f", "%M", "-o", note, self.binary, "--root", self.store, *args)
        self.peak = max(self.peak, int(note.read_text().split()[-1]))

    def fresh(self):
        shutil.rmtree(self.store, ignore_errors=True)

    def load(self, archive):
        self.fresh()
        sh(self.binary, "--root", self.store, "load", "-q", "-i", archive)
        sh(self.binary, "--root", self.store, "tag", NAME, f"{self.host}/{NAME}")

    def push(self):
        self.call("push", "-q", f"{self.host}/{NAME}")

    def forget(self):
        self.fresh()

    def pull(self):
        self.call("pull", "-q", f"{self.host}/{NAME}")

    def copy(self, layout):
        self.call("copy", "-q", f"docker://{self.host}/{NAME}", f"oci:{layout}:1")


class Docker:
    def __init__(self, host):
        self.host = host
        sh(PEER, "start")
        version = self.docker("version", "--format", "{{.Server.Version}}")
        self.name = f"docker {version.split('+')[0]}"
        self.root = Path(sh(PEER, "root"))
        self.daemon = int((self.root.parent / "outer").read_text())

    def docker(self, *args):
        return sh(PEER, "docker", *args)

    def load(self, archive):
        self.forget()
        shutil.copy(archive, self.root / "work/bench.tar")
        self.docker("load", "-q", "-i", "/work/bench.tar")
        (self.root / "work/bench.tar").unlink()
        self.docker("tag", NAME, f"{self.host}/{NAME}")

    def push(self):
        self.docker("push", "-q", f"{self.host}/{NAME}")

    def forget(self):
        for name in (NAME, f"{self.host}/{NAME}"):
            subprocess.run([PEER, "docker", "rmi", "-f", name], capture_output=True)

    def pull(self):
        self.docker("pull", "-q", f"{self.host}/{NAME}")


class Podman:
    def __init__(self, work, host):
        self.host, self.name = host, "podman " + sh("podman", "--version").split()[-1]
        self.storage = ["--root", work / "podman", "--runroot", work / "podman-run", "--storage-driver", "overlay"]

    def podman(self, *args):
        return sh("podman", *self.storage, *args)

    def load(self, archive):
        self.forget()
        self.podman("load", "-q", "-i", archive)
        self.podman("tag", NAME, f"{self.host}/{NAME}")

    def push(self):
        self.podman("push", "-q", "--tls-verify=false", f"{self.host}/{NAME}")

    def forget(self):
        self.podman("rmi", "-af")

    def pull(self):
        self.podman("pull", "-q", "--tls-verify=false", f"{self.host}/{NAME}")


class Skopeo:
    """Its push comes from podman's storage; its pull goes into a layout, unpacking nothing."""

    def __init__(self, work, host, podman):
        self.host, self.podman = host, podman
        self.name = "skopeo " + sh("skopeo", "--version").split()[2]
        self.place = f"containers-storage:[overlay@{work / 'podman'}+{work / 'podman-run'}]{host}/{NAME}"

    def load(self, archive):
        self.podman.load(archive)

    def push(self):
        sh("skopeo", "copy", "-q", "--dest-tls-verify=false", self.place, f"docker://{self.host}/{NAME}")

    def forget(self):
        self.podman.forget()

    def pull(self):
        sh("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{self.host}/{NAME}", self.place)

    def copy(self, layout):
        sh("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{self.host}/{NAME}", f"oci:{layout}:1")


def contents(megabytes, count):
    """Yields real files' bytes, so that they compress as images do."""
    size, left = megabytes << 20, count
    piece = bytearray()
    for folder in ("/usr/lib", "/usr/bin", "/usr/share"):
        for path in sorted(Path(folder).rglob("*")):
            if left == 0:
                return
            if path.is_file() and not path.is_symlink():
                piece += path.read_bytes()[: size - len(piece)]
            if len(piece) == size:
                yield bytes(piece)
                piece, left = bytearray(), left - 1
    sys.exit("this machine has too few files to make layers of")


def make(skiff, work, layers, megabytes):
    context = work / "context"
    context.mkdir()
    lines = ["FROM scratch"]
    for number, data in enumerate(contents(megabytes, layers)):
        (context / f"f{number}").write_bytes(data)
        lines.append(f"COPY f{number} /f{number}")
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    sh(skiff.binary, "--root", skiff.store, "build", "-q", "-t", NAME, context)
    archive = work / "image.tar"
    sh(skiff.binary, "--root", skiff.store, "save", "-o", archive, NAME)
    shutil.rmtree(context)
    return archive


def processor(*trees):
    """Returns the seconds that ended children and these processes with all below them have used."""
    ticks, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
            # Its own time and that of the children it has waited for.
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    wanted, total = [pid for pid in trees if pid], 0
    while wanted:
        pid = wanted.pop()
        total += ticks.get(pid, 0)
        wanted += parents.get(pid, [])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return total / os.sysconf("SC_CLK_TCK") + own.ru_utime + own.ru_stime


def timed(action, *trees):
    os.sync()
    before, begin = processor(*trees), time.monotonic()
    action()
    return time.monotonic() - begin, processor(*trees) - before


def session(tools, registry, archive, work, runs, times, sizes):

    def note(row, tool, action):
        clock, used = timed(action, registry.process.pid, getattr(tool, "daemon", None))
        times.setdefault(row, {}).setdefault(tool.name, []).append(clock)
        if row.endswith("cold"):
            times.setdefault(f"{row}: processor time", {}).setdefault(tool.name, []).append(used)

    for run in range(runs):
        for tool in tools:
            tool.load(archive)
            registry.empty()
            note("push, cold", tool, tool.push)
            sizes[tool.name] = registry.size()
            for _ in range(3):
                note("push, unchanged", tool, tool.push)
            tool.forget()
            note("pull, cold", tool, tool.pull)
            for _ in range(3):
                note("pull, unchanged", tool, tool.pull)
            if hasattr(tool, "copy"):
                shutil.rmtree(work / "layout", ignore_errors=True)
                note("copy to an OCI layout, cold", tool, lambda: tool.copy(work / "layout"))
            tool.forget()
            print(f"run {run + 1}: {tool.name} done, load {os.getloadavg()[0]:.1f}", file=sys.stderr)


def table(times, sizes, tools):
    names = [tool.name for tool in tools]
    lines = ["| workload | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row, by_tool in times.items():
        middle = {name: statistics.median(found) for name, found in by_tool.items()}
        cells = []
        for name in names:
            if name not in middle:
                cells.append("–")
                continue
            ms = middle[name] * 1000
            text = f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"
            ratio = middle[name] / middle["skiff"]
            cells.append(text if name == "skiff" else f"{text} ({ratio:.1f}x)")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    lines.append("| bytes sent | " + " | ".join(f"{sizes.get(name, 0) / 1e6:.0f} MB" for name in names) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--skiff", type=Path, default=HERE / "target/x86_64-unknown-linux-gnu/release/skiff")
    parser.add_argument("--only", default="", help="names of tools, with commas")
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    # Whatever ends it, what it started ends too, and what was measured is shown.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    work = Path(tempfile.mkdtemp(prefix="skiff-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    registry = Registry(work)
    wanted = lambda name: not args.only or name in args.only.split(",")
    docker = podman = None
    times, sizes = {}, {}
    try:
        skiff = Skiff(args.skiff, work, registry.host)
        tools = [skiff]
        archive = make(skiff, work, args.layers, args.megabytes)
        if wanted("docker") and (Path(os.environ.get("SKIFF_PEER", HERE / ".cache/peer")) / "made").exists():
            docker = Docker(registry.host)
            tools.append(docker)
        if shutil.which("podman") and (wanted("podman") or wanted("skopeo")):
            podman = Podman(work, registry.host)
            if wanted("podman"):
                tools.append(podman)
            if shutil.which("skopeo") and wanted("skopeo"):
                tools.append(Skopeo(work, registry.host, podman))
        session(tools, registry, archive, work, args.runs, times, sizes)
    finally:
        try:
            if times:
                text = table(times, sizes, tools) + f"\n\nSkiff's peak resident memory: {skiff.peak / 1024:.0f} MB\n"
                print(text)
                print(json.dumps(times), file=sys.stderr)
                if args.markdown:
                    args.markdown.write_text(text)
        finally:
            registry.stop()
            if podman:
                subprocess.run(["podman", *map(str, podman.storage), "rmi", "-af"], capture_output=True)
                subprocess.run(["umount", "-l", work / "podman/overlay"], capture_output=True)
            if docker:
                docker.forget()
                sh(PEER, "stop")
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
