//! RUN: a process on an overlay whose upper directory becomes the layer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Ops, process};
use crate::builder::cache_key::{Fields, StepKey};
use crate::builder::cancel::Cancel;
use crate::builder::error::{BuildError, ErrorKind, invalid};
use crate::builder::extras::HostDevice;
use crate::builder::graph::{RunOp, VertexIndex};
use crate::builder::network::StepNetwork;
use crate::builder::options::NetworkMode;
use crate::builder::solve::Inputs;
use crate::fs::{Follow, Root};
use crate::image::DiffId;
use crate::layers::{PackOptions, pack_upper};
use crate::progress::VertexId;
use crate::run::{
    CapSet, Device, Limits, Mount, MountSource, Network, ProcessSpec, Rlimit, Rootfs, Running, Sysctl,
    UpperDir, User, lookup_user, resource,
};
use crate::store::LayerDraft;

/// The upper directory in a draft, under the name that a layer's tree has.
pub(super) const UPPER: &str = "fs";
/// Overlayfs's own directory.
pub(super) const WORK: &str = "work";
/// Things that live only as long as the process.
const SCRATCH: &str = "scratch";
/// Bytes of `/dev/shm` unless asked otherwise.
const SHM: u64 = 64 << 20;
/// Most bytes of the host's resolv.conf.
const MAX_RESOLV: usize = 1 << 20;

impl Ops<'_> {
    pub(super) fn run_key(&self, op: &RunOp, inputs: &Inputs) -> Result<StepKey, BuildError> {
        let mut fields = Fields::new("run");
        fields.add_list("command", &op.args);
        for (name, value) in &op.env {
            fields.add(&format!("env {name}"), value);
        }
        fields.add("workdir", &op.cwd);
        fields.add("user", &op.user);
        fields.add("hostname", &op.hostname);
        for (number, mount) in op.mounts.iter().enumerate() {
            fields.add(&format!("mount {number}"), self.mount_field(mount, inputs)?);
        }
        fields.add_option("script", op.script.as_ref().map(|(name, body)| format!("{name}\n{body}")));
        fields.add("network", format!("{:?}", op.network));
        fields.add("insecure", op.insecure.to_string());
        for limit in &self.options.ulimits {
            fields.add(&format!("ulimit {}", limit.name), format!("{}:{}", limit.soft, limit.hard));
        }
        fields.add_option("cgroup parent", self.options.cgroup_parent.clone());
        fields.add("shm size", self.options.shm_size.unwrap_or(SHM).to_string());
        for host in &self.options.add_hosts {
            fields.add("host", &host.name);
        }
        fields.add("platform", &op.platform);
        let extras = &self.options.extras;
        for text in extras.sandbox.texts.iter().chain(extras.volumes.iter().map(|volume| &volume.text)) {
            fields.add("sandbox", text);
        }
        fields.add_parent(inputs.parent_chain());
        Ok(fields.finish())
    }

    pub(super) fn run(
        &self,
        (vertex, op): (VertexIndex, &RunOp),
        inputs: &Inputs,
        id: VertexId,
        cancel: &Cancel,
    ) -> Result<Vec<DiffId>, BuildError> {
        let draft = self.env.store.begin_layer()?;
        let view = self.view(inputs.parent_layers())?;
        let user = self.user(op, view.as_ref(), draft.root())?;
        let rootfs = self.rootfs(&draft, inputs, view.as_ref())?;
        draft.root().create_dir(SCRATCH, 0o700)?;
        let mut mounts = self.mounts(&op.mounts, inputs, &draft.root().dir(SCRATCH)?, cancel)?;
        let env = environment(op, &user, &mounts.env);
        let mut list = std::mem::take(&mut mounts.list);
        for volume in &self.options.extras.volumes {
            let source = MountSource::Bind(cloned(&volume.source)?);
            list.push(Mount::new(&volume.target, source).read_only(volume.read_only));
        }
        let mut list = visible(list);
        let joined = self.join(op)?;
        self.add_files(op, joined.as_ref(), &mut list)?;
        let mut spec = self.spec(op, user, env, list)?;
        if let Some(joined) = &joined {
            spec.network = Network::Join(Arc::clone(&joined.namespace));
        }
        let ran = process::run(
            self.env.executor,
            &spec,
            rootfs,
            (self.env.reporter, id),
            self.options.log_limits,
            cancel,
        )
        .map_err(|error| super::foreign::explained(error, &op.platform));
        let ended = match ran {
            Ok(ended) => ended,
            Err(error) => {
                if let (Some(hook), false) = (&self.options.on_failure, error.is_cancelled()) {
                    self.after_failure(&**hook, (vertex, op), inputs, (draft, spec), &error);
                }
                return Err(error);
            }
        };
        drop(spec);
        drop(mounts);
        self.snapshot(draft, Some(ended))
    }

    /// Connects a step whose network is neither the host's nor none.
    fn join(&self, op: &RunOp) -> Result<Option<StepNetwork>, BuildError> {
        match (&self.options.extras.networks, op.network) {
            (Some(networks), NetworkMode::Bridge) => networks
                .0
                .join()
                .map(Some)
                .map_err(|source| ErrorKind::Start { command: op.args.join(" "), source }.into()),
            _ => Ok(None),
        }
    }

    /// Makes a layer of what a process changed, whose root may be taken apart meanwhile.
    pub(super) fn snapshot(
        &self,
        draft: LayerDraft,
        ended: Option<Box<dyn Running>>,
    ) -> Result<Vec<DiffId>, BuildError> {
        let upper = draft.root().dir(UPPER)?;
        let written = pack_upper(&upper, &mut std::io::sink(), &PackOptions::default())?;
        drop((upper, ended));
        for name in [WORK, SCRATCH] {
            draft.root().remove_tree(name)?;
        }
        draft.commit(written.diff_id, written.size)?;
        Ok(vec![written.diff_id])
    }

    fn user(&self, op: &RunOp, view: Option<&Root>, empty: &Root) -> Result<User, BuildError> {
        let root = view.unwrap_or(empty);
        lookup_user(root, &op.user)
            .map_err(|error| ErrorKind::Start { command: op.args.join(" "), source: Box::new(error) }.into())
    }

    fn rootfs(&self, draft: &LayerDraft, inputs: &Inputs, view: Option<&Root>) -> Result<Rootfs, BuildError> {
        self.ensure(inputs.parent_layers())?;
        draft.root().create_exact_dir(UPPER, 0o755)?;
        draft.root().create_dir(WORK, 0o700)?;
        // The upper directory shows as the root itself, so it has to look like the one below.
        if let Some(stat) = view.map(|root| root.stat("", Follow::No)).transpose()?.flatten() {
            draft.root().set_owner(UPPER, stat.uid, stat.gid)?;
            draft.root().set_mode(UPPER, stat.mode)?;
        }
        Ok(Rootfs {
            lowers: self.env.store.trees(inputs.parent_layers())?,
            upper: Some(UpperDir { upper: draft.root().dir(UPPER)?, work: draft.root().dir(WORK)? }),
            read_only: false,
            userxattr: self.env.store.userxattr()?,
        })
    }

    fn spec(
        &self,
        op: &RunOp,
        user: User,
        env: Vec<(String, Vec<u8>)>,
        mounts: Vec<Mount>,
    ) -> Result<ProcessSpec, BuildError> {
        let network = match op.network {
            // A step in a network of its own is joined to it later.
            NetworkMode::None | NetworkMode::Bridge => Network::None,
            NetworkMode::Default | NetworkMode::Host => Network::Host,
        };
        let sandbox = &self.options.extras.sandbox;
        let sysctls = match op.network {
            NetworkMode::None | NetworkMode::Bridge => Sysctl::network_defaults(),
            _ => Vec::new(),
        };
        Ok(ProcessSpec {
            args: op.args.iter().map(|word| word.clone().into_bytes()).collect(),
            env: env.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
            cwd: PathBuf::from(&op.cwd),
            user_owns_cwd: true,
            user,
            hostname: Some(op.hostname.clone()),
            network,
            mounts,
            rlimits: self.rlimits()?,
            sysctls,
            shm_size: self.options.shm_size.unwrap_or(SHM),
            limits: self.limits(),
            privileged: op.insecure,
            dies_with_thread: true,
            root_ends_beside: true,
            capabilities: sandbox.capabilities.unwrap_or(CapSet::DEFAULT),
            seccomp: sandbox.seccomp.clone().unwrap_or_default(),
            no_new_privileges: sandbox.no_new_privileges,
            devices: sandbox.devices.iter().map(device).collect::<Result<_, _>>()?,
            ..ProcessSpec::default()
        })
    }

    fn rlimits(&self) -> Result<Vec<Rlimit>, BuildError> {
        let limit = |limit: &crate::builder::options::Ulimit| {
            let resource = resource(&limit.name)
                .ok_or_else(|| invalid(format!("invalid ulimit type: {}", limit.name)))?;
            Ok(Rlimit { resource, soft: Some(limit.soft), hard: Some(limit.hard) })
        };
        self.options.ulimits.iter().map(limit).collect()
    }

    fn limits(&self) -> Limits {
        let asked = &self.options.limits;
        Limits {
            memory: asked.memory,
            memory_swap: asked.memory_swap.map(|swap| u64::try_from(swap).unwrap_or(u64::MAX)),
            cpu_quota: asked.cpu_quota.and_then(|quota| u64::try_from(quota).ok()),
            cpu_period: asked.cpu_period,
            cpu_shares: asked.cpu_shares,
            cpuset_cpus: asked.cpuset_cpus.clone(),
            cpuset_mems: asked.cpuset_mems.clone(),
            parent: self.options.cgroup_parent.as_ref().map(PathBuf::from),
            ..Limits::default()
        }
    }

    /// Adds the files that every process sees, unless its own mounts stand in their place or cover them.
    fn add_files(
        &self,
        op: &RunOp,
        joined: Option<&StepNetwork>,
        mounts: &mut Vec<Mount>,
    ) -> Result<(), BuildError> {
        let hosts = (!self.options.extras.sandbox.no_hosts).then(|| ("/etc/hosts", self.hosts(op)));
        let files = hosts.into_iter().chain([("/etc/resolv.conf", self.resolv_conf(joined)?)]);
        for (target, bytes) in files {
            if !mounts.iter().any(|mount| Path::new(target).starts_with(&mount.target)) {
                mounts.push(Mount::file(target, bytes, 0o644).read_only(true));
            }
        }
        if let Some((name, body)) = &op.script {
            let source = MountSource::File { bytes: body.clone().into_bytes(), mode: 0o755, uid: 0, gid: 0 };
            mounts.push(Mount::new(format!("/dev/pipes/{name}"), source).read_only(true));
        }
        Ok(())
    }

    /// Returns the host's resolv.conf with what the command line puts in its place.
    fn resolv_conf(&self, joined: Option<&StepNetwork>) -> Result<Vec<u8>, BuildError> {
        let sandbox = &self.options.extras.sandbox;
        let host = match joined {
            Some(joined) => joined.resolv_conf.clone().into_bytes(),
            None => host_resolv_conf()?,
        };
        let lines = [
            ("nameserver", sandbox.dns.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ("search", sandbox.dns_search.clone()),
            ("options", sandbox.dns_options.clone()),
        ];
        if lines.iter().all(|(_, values)| values.is_empty()) {
            return Ok(host);
        }
        let host = String::from_utf8_lossy(&host);
        let replaced = |line: &&str| {
            let keyword = line.split_whitespace().next().unwrap_or_default();
            lines.iter().any(|(name, values)| *name == keyword && !values.is_empty())
        };
        let mut text: String =
            host.lines().filter(|line| !replaced(line)).map(|l| format!("{l}\n")).collect();
        lines[0].1.iter().for_each(|server| text += &format!("nameserver {server}\n"));
        for (name, values) in lines[1..].iter().filter(|(_, values)| !values.is_empty()) {
            text += &format!("{name} {}\n", values.join(" "));
        }
        Ok(text.into_bytes())
    }

    fn hosts(&self, op: &RunOp) -> Vec<u8> {
        let mut text =
            format!("127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\n", op.hostname);
        for host in &self.options.add_hosts {
            for address in &host.addresses {
                text += &format!("{address}\t{}\n", host.name);
            }
        }
        text.into_bytes()
    }
}

fn cloned(fd: &OwnedFd) -> Result<OwnedFd, BuildError> {
    fd.try_clone().map_err(|source| ErrorKind::Io { action: "cannot clone a descriptor", source }.into())
}

fn device(device: &HostDevice) -> Result<Device, BuildError> {
    Ok(Device {
        target: device.target.clone(),
        source: cloned(&device.source)?,
        access: device.access.clone(),
    })
}

/// Returns the host's resolv.conf, as processes on its network need it; an empty one if it has none.
fn host_resolv_conf() -> Result<Vec<u8>, BuildError> {
    match Root::open(Path::new("/"))?.read("etc/resolv.conf", MAX_RESOLV) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// Returns the variables of a process: the stage's, proxies over them, then what the user and the mounts bring.
fn environment(op: &RunOp, user: &User, brought: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let bytes = |(name, value): &(String, String)| (name.clone(), value.clone().into_bytes());
    let mut env: Vec<(String, Vec<u8>)> = op.env.iter().map(bytes).collect();
    let has = |env: &[(String, Vec<u8>)], name: &str| env.iter().any(|(known, _)| known == name);
    for pair in &op.proxy_env {
        env.retain(|(known, _)| *known != pair.0);
        env.push(bytes(pair));
    }
    if !has(&env, "HOME") {
        env.push(("HOME".to_owned(), user.home.clone().into_bytes()));
    }
    for (name, value) in brought {
        // A secret was asked for by this step, so it is meant; an agent gives way.
        match env.iter().position(|(known, _)| known == name) {
            Some(_) if name == "SSH_AUTH_SOCK" => {}
            Some(place) => env[place].1.clone_from(value),
            None => env.push((name.clone(), value.clone())),
        }
    }
    env
}

/// Drops the mounts that a later one of the same target hides.
fn visible(mounts: Vec<Mount>) -> Vec<Mount> {
    let last: HashMap<PathBuf, usize> =
        mounts.iter().enumerate().map(|(at, mount)| (mount.target.clone(), at)).collect();
    let kept = mounts.into_iter().enumerate().filter(|(at, mount)| last[&mount.target] == *at);
    kept.map(|(_, mount)| mount).collect()
}
