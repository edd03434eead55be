#!/bin/bash
# Runs in the machine of scripts/machine at every boot; says of each thing tried whether it was as it should be.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# NAME EXPECTED COMMAND...: the command's output, lines joined by spaces, is as the shell pattern EXPECTED says.
holds() {
    local name=$1 expected=$2 said
    shift 2
    said=$("$@" 2>&1 | tr '\n' ' ')
    # shellcheck disable=SC2053 # it is a pattern
    if [[ ${said% } == $expected ]]; then echo "ok: $name"; else echo "FAILED: $name: expected $expected, got: $said"; fi
}
limits='cd /sys/fs/cgroup && cat memory.max pids.max cpu.max'
page() { curl -s --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:8080/; }
ask() { curl -s --unix-socket /run/docker.sock "http://d/$1" "${@:2}"; }
active() { systemctl is-active skiff.service; }
status() { skiff ps -a --filter "name=^$1\$" --format '{{.Status}}'; }

first() {
    holds import 'sha256:*' skiff import --change 'CMD ["sh"]' /root/busybox.tar bb
    holds 'a container' hello skiff run --rm bb echo hello
    holds limits '67108864 20 50000 100000' skiff run --rm -m 64m --pids-limit 20 --cpus 0.5 bb sh -c "$limits"
    holds 'weight and processors' '59 0' \
        skiff run --rm --cpu-shares 512 --cpuset-cpus 0 bb sh -c 'cd /sys/fs/cgroup && cat cpu.weight cpuset.cpus'
    holds 'rates of a disk' '*:0 rbps=max wbps=1048576 riops=100 wiops=max' \
        skiff run --rm --device-write-bps /dev/vda:1mb --device-read-iops /dev/vda:100 bb cat /sys/fs/cgroup/io.max
    holds 'a weight of disks' 'default 2930' skiff run --rm --blkio-weight 300 bb cat /sys/fs/cgroup/io.weight
    holds 'what v2 has not' 'WARNING: Your kernel does not support memory swappiness *' \
        skiff run --rm --memory-swappiness 5 bb true
    holds 'too much memory' 'code 137' \
        bash -c 'skiff run --rm -m 32m --memory-swap 32m bb dd if=/dev/zero of=/dev/null bs=100M count=1; echo code $?'
    holds 'too many processes' '*fork*' \
        skiff run --rm --pids-limit 5 bb sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
    holds 'devices that were not given' '*denied*' skiff run --rm bb sh -c 'mknod /y b 254 0; head -c 1 /y'
    skiff run -d --name limited -m 64m --pids-limit 50 --restart always bb sleep 10000
    holds update limited skiff update -m 128m --memory-swap 256m --pids-limit 60 --cpus 0.7 limited
    holds 'limits after it' '134217728 60 70000 100000' skiff exec limited sh -c "$limits"
    holds pause limited skiff pause limited
    holds 'a paused one' 'Up *[(]Paused[)]' status limited
    holds unpause limited skiff unpause limited
    holds stats '*/ 128MiB*' skiff stats --no-stream limited
    skiff run -d --name once bb sleep 10000
    skiff run -d --name stopped --restart unless-stopped bb sleep 10000
    skiff stop -t 1 stopped
    skiff run -d --name web -p 8080:80 --restart unless-stopped bb \
        sh -c 'mkdir -p /www; echo a page > /www/index.html; exec httpd -f -p 80 -h /www'
    holds 'a published port' 'a page' page
    engine
    mkdir -p /root/context
    printf 'FROM bb\nRUN echo built > /f\nRUN mkdir /d && chmod 700 /d\nCOPY Dockerfile /d/\n' > /root/context/Dockerfile
    holds build 'sha256:*' skiff build -q -m 100m -t built /root/context
    holds 'what was built' 'built drwx------*' skiff run --rm built sh -c 'cat /f; ls -ld /d'
    holds 'in a container' '*67108864' skiff run --rm --privileged -v /usr/bin/skiff:/usr/bin/skiff \
        -v /root/busybox.tar:/bb.tar --tmpfs /tmp -e SKIFF_ROOT=/tmp/store bb \
        sh -c 'skiff import /bb.tar bb && skiff run --rm --network none -m 64m bb cat /sys/fs/cgroup/memory.max'
    echo 'as a user without a delegated cgroup'
    systemd-run -q --wait --pipe --uid=alice -p WorkingDirectory=/home/alice /root/trial.sh user none
    echo 'as a user in a unit with Delegate=yes'
    systemd-run -q --wait --pipe --uid=alice -p Delegate=yes -p WorkingDirectory=/home/alice /root/trial.sh user some
    echo "as a user below the user's service manager"
    systemd-run -q --wait --pipe --user -M alice@ -p WorkingDirectory=/home/alice /root/trial.sh user some
    sync
    echo 'the machine dies'
    echo b > /proc/sysrq-trigger
    sleep 100
}

engine() {
    holds 'no service yet' inactive active
    systemctl start skiff.socket
    holds 'the socket starts the service' OK ask _ping
    holds 'it is there' active active
    holds 'its options' '*"site=machine"*' ask info
    ask 'containers/create?name=asked' -H 'Content-Type: application/json' \
        -d '{"Image":"bb","Cmd":["sleep","1000"],"HostConfig":{"Memory":67108864}}' > /dev/null
    ask containers/asked/start -X POST
    holds 'a container that was asked for' 'Up *' status asked
    holds 'with its limit' 67108864 skiff exec asked cat /sys/fs/cgroup/memory.max
    systemctl stop skiff.socket skiff.service
    holds 'the service has ended' inactive active
    holds 'its container has not' 'Up *' status asked
    holds 'and can be removed' asked skiff rm -f asked
}

user() {
    export HOME=/home/alice XDG_RUNTIME_DIR=/run/user/$(id -u)
    skiff import -q /home/alice/busybox.tar bb > /dev/null 2>&1 || skiff import /home/alice/busybox.tar bb > /dev/null
    holds 'a container' hello skiff run --rm bb echo hello
    if [ "$1" = some ]; then
        holds limits '67108864 20 50000 100000' skiff run --rm -m 64m --pids-limit 20 --cpus 0.5 bb sh -c "$limits"
    else
        holds 'no limits, and why' 'WARNING: no cgroup controller for memory*hello' skiff run --rm -m 64m bb echo hello
    fi
    skiff run -d --name mine bb sleep 1000 > /dev/null
    holds 'a detached one' 'Up *' status mine
    holds exec 'uid=0(root)*' skiff exec mine id
    [ "$1" = some ] && holds pause mine skiff pause mine && skiff unpause mine > /dev/null
    holds remove mine skiff rm -f mine
}

second() {
    holds 'what its policy wants runs again' 'Up *' status limited
    holds 'with its limits' '134217728 60 70000 100000' skiff exec limited sh -c "$limits"
    holds 'its port answers' 'a page' page
    holds 'what has no policy does not' 'Exited (137)*' status once
    holds 'what was stopped does not' 'Exited*' status stopped
    holds 'a new container' hello skiff run --rm bb echo hello
    holds start once skiff start once
    echo 'the machine is rebooted'
    systemctl reboot
}

third() {
    holds 'what its policy wants runs again' 'Up *' status limited
    holds 'its port answers' 'a page' page
    # shellcheck disable=SC2046 # a word each
    skiff rm -f $(skiff ps -aq) > /dev/null
    holds 'nothing is left' '' bash -c 'mount | grep skiff; ip -o link | grep veth; find /sys/fs/cgroup -name "skiff-*" ! -name "*.service"; nft list tables | grep skiff'
    echo 'the end'
    systemctl poweroff
}

if [ "${1:-}" = user ]; then
    user "$2"
    exit
fi
boot=$(($(cat /root/boots 2>/dev/null || echo 0) + 1))
echo $boot > /root/boots
echo "boot $boot, Linux $(uname -r)"
case $boot in
    1) first ;;
    2) second ;;
    3) third ;;
esac
