"""What programs do with docker's own Python library; DOCKER_HOST says where."""

import io
import tarfile
import threading
import time

import docker
from docker.errors import APIError, BuildError, ContainerError, ImageNotFound, NotFound
from docker.utils.socket import frames_iter_no_tty

client = docker.from_env()


def refused(kind, act, status=None):
    """The library makes a typed error of what the engine says."""
    try:
        act()
    except kind as error:
        assert status is None or error.response.status_code == status, error
        return error
    raise AssertionError(f"{act} should have failed with {kind}")


assert client.ping() and client.version()["ApiVersion"] == "1.51"
assert client.info()["OSType"] == "linux"

# Containers that run to their end: output, both streams apart, exit codes.
assert client.containers.run("busybox", ["echo", "hello"], remove=True, network_mode="none") == b"hello\n"
said = client.containers.run(
    "busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=True, stderr=True, network_mode="none"
)
assert sorted(said.splitlines()) == [b"err", b"out"], said
failed = refused(
    ContainerError,
    lambda: client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True, network_mode="none"),
)
assert failed.exit_status == 3 and b"no" in failed.stderr
refused(ImageNotFound, lambda: client.containers.create("no-such-image:1"))
refused(NotFound, lambda: client.containers.get("no-such-container"))

# One that goes on.
labels = {"a": "b", "com.example.empty": ""}
box = client.containers.run(
    "busybox", ["sh", "-c", "echo begun; exec sleep 1000"], name="box", detach=True, labels=labels,
    environment={"K": "v"}, mem_limit="64m", network_mode="none", stop_signal="SIGKILL",
)
box.reload()
assert box.status == "running" and box.labels == labels and box.name == "box"
assert box.attrs["HostConfig"]["Memory"] == 64 << 20 and "K=v" in box.attrs["Config"]["Env"]
refused(APIError, lambda: client.containers.create("busybox", name="box"), 409)
assert [one.name for one in client.containers.list(filters={"label": ["a=b"]})] == ["box"]
assert client.containers.list(filters={"name": "nobody"}) == []
follow = box.logs(stream=True, follow=True)
assert next(follow).strip() == b"begun"

code, output = box.exec_run(["sh", "-c", "echo $K; exit 4"])
assert (code, output) == (4, b"v\n")
code, (out, err) = box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
assert (code, out, err) == (0, b"out\n", b"err\n")
asked = client.api.exec_create("box", ["cat"], stdin=True)
socket = client.api.exec_start(asked["Id"], socket=True)
socket._sock.sendall(b"x" * 100_000)
socket._sock.shutdown(1)
frames = b"".join(data for _, data in frames_iter_no_tty(socket))
assert frames == b"x" * 100_000, len(frames)
assert client.api.exec_inspect(asked["Id"])["ExitCode"] == 0

# Files in and out.
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w") as archive:
    entry = tarfile.TarInfo("file")
    entry.size = 5
    archive.addfile(entry, io.BytesIO(b"bytes"))
assert box.put_archive("/tmp", tar.getvalue())
stream, stat = box.get_archive("/tmp/file")
assert stat["name"] == "file" and stat["size"] == 5, stat
with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
    assert archive.extractfile("file").read() == b"bytes"
refused(NotFound, lambda: box.get_archive("/no/such/file"))
assert {"Path": "/tmp/file", "Kind": 1} in box.diff()

usage = box.stats(stream=False)
assert usage["memory_stats"]["usage"] > 0 and usage["pids_stats"]["current"] >= 1, usage
assert box.top()["Titles"] and any("sleep" in " ".join(row) for row in box.top()["Processes"])
box.pause()
box.reload()
assert box.status == "paused"
box.unpause()
box.rename("crate")
box.update(mem_limit="96m", memswap_limit="96m")
box.reload()
assert box.attrs["HostConfig"]["Memory"] == 96 << 20 and box.name == "crate"
made = box.commit("made", "1", changes=["CMD [\"true\"]"])
assert "made:1" in made.tags

# Whoever waits hears of the end.
ends = []
waiting = threading.Thread(target=lambda: ends.append(box.wait()["StatusCode"]))
waiting.start()
box.kill()
waiting.join(30)
assert ends == [137], ends
refused(APIError, lambda: box.kill(), 409)
assert [line for line in follow] == []
box.start()
box.stop(timeout=0)
box.restart(timeout=0)
refused(APIError, lambda: box.remove(), 409)
box.remove(force=True)
refused(NotFound, lambda: box.reload())

# Images.
built, log = client.images.build(
    fileobj=io.BytesIO(b"FROM busybox\nRUN echo built > /f\nCMD [\"cat\", \"/f\"]\n"), tag="built:1", rm=True
)
assert any("Step 1/3" in line.get("stream", "") for line in log)
assert client.containers.run(built, remove=True, network_mode="none") == b"built\n"
refused(BuildError, lambda: client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 7\n")))
assert built.tag("other/name", "2") and "other/name:2" in [tag for one in client.images.list() for tag in one.tags]
archive = b"".join(built.save(named=True))
client.images.remove("built:1", force=True)
client.images.remove("other/name:2", force=True)
refused(ImageNotFound, lambda: client.images.get("built:1"))
assert client.images.load(archive)[0].id == built.id
assert client.images.get("made:1").history()
client.images.prune({"dangling": True})

# Networks and volumes, and who is in them.
network = client.networks.create("net", labels={"n": "1"})
volume = client.volumes.create("vol", labels={"v": "1"})
one = client.containers.run(
    "busybox", ["sh", "-c", "echo kept > /data/f; exec sleep 1000"], detach=True, name="one", network="net",
    volumes={"vol": {"bind": "/data", "mode": "rw"}}, stop_signal="SIGKILL",
)
network.reload()
assert [c.name for c in network.containers] == ["one"]
refused(APIError, lambda: network.remove(), 403)
refused(APIError, lambda: volume.remove(), 409)
network.disconnect(one)
network.connect(one, aliases=["alias"])
one.reload()
assert "alias" in one.attrs["NetworkSettings"]["Networks"]["net"]["Aliases"]
one.remove(force=True)
network.remove()
volume.remove()
refused(NotFound, lambda: client.volumes.get("vol"))

actions = [event["Action"] for event in client.events(since=0, until=int(time.time()) + 1, decode=True)
           if event["Type"] == "container" and event["Actor"]["Attributes"]["name"] == "one"]
assert actions[0] == "create" and actions[-1] == "destroy", actions
assert client.df()["Images"] and client.api.df()["LayersSize"] >= 0
client.containers.prune()
print("all of it works")
