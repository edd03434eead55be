#!/usr/bin/env python3
"""Times Skiff against docker (BuildKit) and buildah in one session and prints a table.

    benches/compare.py [--runs N] [--only NAME,...] [--markdown FILE]

Needs root, the release binary, the base images (scripts/bases) and the peer
engine (scripts/peer-engine make); bookworm's older engine takes part too if
`SKIFF_PEER_SUITE=bookworm SKIFF_PEER=.cache/peer-bookworm scripts/peer-engine make`
has made it (or SKIFF_PEER_BOOKWORM says where it is). Every workload runs in turn with each tool;
medians are compared, so a machine that drifts hurts all alike. Tools that are
not there are left out of the table.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
BASES = HERE / ".cache/bases"
SKIFF = HERE / "target/x86_64-unknown-linux-gnu/release/skiff"
PEER = HERE / "scripts/peer-engine"


def sh(args, **kwargs):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
    if done.returncode != 0:
        sys.exit(f"{args} failed\n{done.stdout.decode()}{done.stderr.decode()}")
    return done


class Tool:
    """One builder under test; paths are the host's unless `inner` maps them."""

    def __init__(self, name, prefix, env=None, root=None):
        self.name, self.prefix, self.root = name, prefix, root
        self.has_provenance = not name.startswith("docker 20")
        self.env = {**os.environ, **(env or {})}

    def inner(self, path):
        return "/" + str(Path(path).relative_to(self.root)) if self.root else str(path)

    def call(self, *args):
        return sh([*self.prefix, *args], env=self.env)

    def build(self, context, tag, *args):
        extra = ["--network", "host"]
        if self.name.startswith("docker"):
            extra += ["--provenance=false"] if self.has_provenance else []
        if self.name == "buildah":
            extra += ["--layers", "--isolation", "chroot", "--pull-never"]
        return self.call("build", *extra, *args, "-t", tag, self.inner(context))


def engines():
    """The folders of the engines that were made."""
    places = [os.environ.get("SKIFF_PEER", HERE / ".cache/peer"), os.environ.get("SKIFF_PEER_BOOKWORM", HERE / ".cache/peer-bookworm")]
    return [Path(place) for place in places if (Path(place) / "made").exists()]


def engine(place):
    # The older client asks for the legacy builder unless it is told otherwise.
    env = {"SKIFF_PEER": str(place), "DOCKER_BUILDKIT": "1"}
    say = lambda *args: sh([str(PEER), *args], env={**os.environ, **env}).stdout.decode().strip()
    say("start")
    version = say("docker", "version", "--format", "{{.Server.Version}}")
    return Tool(f"docker {version.split('+')[0]}", [str(PEER), "docker"], env, Path(say("root")))


def tools(work):
    found = []
    if not SKIFF.exists():
        sys.exit("build the release binary first: cargo build --release")
    found.append(Tool("skiff", [str(SKIFF)], {"SKIFF_ROOT": str(work / "skiff")}))
    for place in engines():
        found.append(engine(place))
    if shutil.which("buildah"):
        storage = ["--root", str(work / "buildah"), "--runroot", str(work / "buildah-run"), "--storage-driver", "overlay"]
        tool = Tool("buildah", ["buildah", *storage])
        tool.storage = storage
        found.append(tool)
    return found


def base(tool, work):
    if tool.name == "buildah":
        sh(["podman", *tool.storage, "import", "-c", 'CMD ["sh"]', str(BASES / "busybox.tar"), "localhost/busybox"])
        sh(["podman", *tool.storage, "tag", "localhost/busybox", "docker.io/library/busybox:latest"])
        return
    tar = BASES / "busybox.tar"
    if tool.root:
        shutil.copy(tar, tool.root / "work/busybox.tar")
        tar = tool.root / "work/busybox.tar"
    tool.call("import", "-c", 'CMD ["sh"]', tool.inner(tar), "busybox:latest")


def folder(tool, work, name):
    place = (tool.root / "work" if tool.root else work / "contexts") / f"bench-{name}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def timed(action, runs, before=None):
    times = []
    for _ in range(runs):
        if before:
            before()
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cached_rebuild(tool, work, runs):
    place = folder(tool, work, "cached")
    steps = "".join(f"RUN echo {n} > /f{n}\n" for n in range(20))
    (place / "Dockerfile").write_text("FROM busybox\n" + steps)
    tool.build(place, "bench-cached")
    yield "cached rebuild, 20 steps", timed(lambda: tool.build(place, "bench-cached"), runs)


def cold_runs(tool, work, runs):
    place = folder(tool, work, "runs")
    (place / "Dockerfile").write_text("FROM busybox\n" + "".join(f"RUN true {n}\n" for n in range(20)))
    yield "20 cold RUN true", timed(lambda: tool.build(place, "bench-runs", "--no-cache"), max(3, runs // 2))


def copy_files(tool, work, runs):
    place = folder(tool, work, "copy")
    data = os.urandom(10_000)
    for n in range(20_000):
        parent = place / f"d{n % 200}"
        if n < 200:
            parent.mkdir()
        (parent / f"f{n}").write_bytes(n.to_bytes(8, "little") + data)
    (place / "Dockerfile").write_text("FROM busybox\nCOPY . /data\n")
    time.sleep(2.1)
    count = 0

    def touch():
        nonlocal count
        count += 1
        (place / "d7/f7").write_bytes(count.to_bytes(8, "little") + data)

    def touch_all():
        nonlocal count
        count += 1
        (place / "Dockerfile").write_text(f"FROM busybox\nCOPY . /data{count}\n")

    build = lambda *a: tool.build(place, "bench-copy", *a)
    yield "COPY 20,000 files (200 MB), cold", timed(build, 1)
    yield "COPY the same, other destination", timed(build, 3, touch_all)
    yield "COPY the same, one file changed", timed(build, 3, touch)
    yield "COPY the same, unchanged", timed(build, runs)


LOOP = "mkdir /d && cd /d && i=0; while [ $i -lt 30000 ]; do echo $i > $i; i=$((i+1)); done"


def run_files(tool, work, runs):
    place = folder(tool, work, "files")
    (place / "Dockerfile").write_text(f"FROM busybox\nRUN {LOOP}\n")
    yield "RUN writing 30,000 files", timed(lambda: tool.build(place, "bench-files", "--no-cache"), 5)


def bare_loop(work):
    """The same loop on a bare overlay mount, in a chroot: what the kernel and the shell charge."""
    lower = work / "lower"
    lower.mkdir()
    sh(["tar", "-xf", str(BASES / "busybox.tar"), "-C", str(lower)])
    times = []
    for n in range(5):
        at = work / f"bare{n}"
        for part in ("upper", "work", "merged"):
            (at / part).mkdir(parents=True)
        options = f"lowerdir={lower},upperdir={at}/upper,workdir={at}/work,volatile"
        start = time.perf_counter()
        sh(["mount", "-t", "overlay", "overlay", "-o", options, str(at / "merged")])
        sh(["chroot", str(at / "merged"), "/bin/sh", "-c", LOOP])
        sh(["umount", str(at / "merged")])
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def run_rm(tool, work, runs):
    if tool.name == "buildah":
        command = ["podman", *tool.storage, "run", "--rm", "--network", "none", "docker.io/library/busybox", "true"]
        probe = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if probe.returncode == 0:
            yield "run --rm IMG true (podman)", timed(lambda: sh(command), 20)
        return
    yield "run --rm IMG true", timed(lambda: tool.call("run", "--rm", "--network", "none", "busybox", "true"), 20)


def save_load(tool, work, runs):
    place = folder(tool, work, "big")
    for n in range(5):
        with open(place / f"blob{n}", "wb") as out:
            for _ in range(100):
                out.write(os.urandom(1 << 20))
    (place / "Dockerfile").write_text("FROM busybox\n" + "".join(f"COPY blob{n} /\n" for n in range(5)))
    tool.build(place, "bench-big")
    out = place / "image.tar"
    if tool.name == "buildah":
        podman = lambda *a: sh(["podman", *tool.storage, *a])
        yield "save 500 MB", timed(lambda: podman("save", "-o", str(out), "bench-big"), 3, lambda: out.unlink(missing_ok=True))
        yield "load 500 MB", timed(lambda: podman("load", "-i", str(out)), 3, lambda: podman("rmi", "-a", "-f"))
        return
    # Podman refuses to write over a file, so nobody has to.
    yield "save 500 MB", timed(lambda: tool.call("save", "-o", tool.inner(out), "bench-big"), 3, lambda: out.unlink(missing_ok=True))

    def forget():
        tool.call("rmi", "-f", "bench-big")
        if tool.root:
            tool.call("builder", "prune", "-af")
        else:
            tool.call("system", "prune", "-af")

    yield "load 500 MB", timed(lambda: tool.call("load", "-q", "-i", tool.inner(out)), 3, forget)


WORKLOADS = {
    "cached": cached_rebuild,
    "runs": cold_runs,
    "copy": copy_files,
    "files": run_files,
    "run": run_rm,
    "save": save_load,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--tools", default="")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="skiff-bench-", dir=os.environ.get("SKIFF_BENCH_DIR", "/var/tmp")))
    rows, names = {}, []
    try:
        for tool in tools(work):
            if options.tools and not any(tool.name.startswith(t) for t in options.tools.split(",")):
                continue
            base(tool, work)
            names.append(tool.name)
            for workload in options.only.split(","):
                for label, seconds in WORKLOADS[workload](tool, work, options.runs):
                    rows.setdefault(label.replace(" (podman)", ""), {})[tool.name] = seconds
                    print(f"{tool.name:16} {label:36} {seconds * 1000:9.1f} ms", file=sys.stderr, flush=True)
        if "files" in options.only:
            rows["RUN writing 30,000 files"]["bare loop"] = bare_loop(work)
            names.append("bare loop")
    finally:
        for place in engines():
            subprocess.run([str(PEER), "stop"], env={**os.environ, "SKIFF_PEER": str(place)}, check=False)
        shutil.rmtree(work, ignore_errors=True)
    table = render(rows, names)
    print(table)
    if options.markdown:
        Path(options.markdown).write_text(table + "\n")


def render(rows, names):
    lines = ["| workload | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, times in rows.items():
        ours = times.get("skiff")
        cells = []
        for name in names:
            seconds = times.get(name)
            if seconds is None:
                cells.append("–")
            elif name == "skiff" or not ours:
                cells.append(f"{seconds * 1000:.1f} ms")
            else:
                cells.append(f"{seconds * 1000:.0f} ms ({seconds / ours:.1f}x)")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
