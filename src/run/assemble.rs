//! From what is asked for to the list of steps that the child works off.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Gid, Rlimit as KernelRlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::caps::CapSet;
use super::cgroup::Leaf;
use super::child::{Credentials, Op, Plan, Program, Report, Slot, Step, What};
use super::error::{RunError, Warning};
use super::hooks::{Hooks, Waits};
use super::host::Host;
use super::mounts::{self, Mounter, Usual, c_string, existing, step};
use super::root::{Created, Stubs, duplicate};
use super::scratch::Scratch;
use super::spec::{DEFAULT_PATH, Input, Io, Namespace, Network, Output, ProcessSpec, Rlimit, Rootfs};
use super::sys::{CStrings, InitArguments};
use super::terminal::{self, Terminal};
use super::{init, seccomp};
use crate::fs::Root;
use crate::fs::mount::{self, Attributes};

/// A child that can be made.
pub(super) struct Prepared {
    pub plan: Plan,
    /// Namespaces (`CLONE_NEW*`).
    pub flags: i32,
    pub created: Option<Created>,
    /// The root once more, if its mount is to outlive the process.
    pub kept_root: Option<OwnedFd>,
    pub terminal: Option<OwnedFd>,
    pub leaf: Option<Leaf>,
    /// Our side of a child that waits for hooks.
    pub waits: Option<Waits>,
    pub warnings: Vec<Warning>,
}

/// Prepares everything for a process.
pub(super) fn assemble(
    spec: &ProcessSpec,
    host: &Host,
    stubs: &Stubs,
    rootfs: Rootfs,
    io: Io,
) -> Result<Prepared, RunError> {
    check(spec, host)?;
    let program = program(spec)?;
    let (leaf, mut warnings) = Leaf::make(&spec.limits, &spec.devices, spec.cgroup.as_deref())?;
    let nodev = !spec.privileged && !leaf.as_ref().is_some_and(Leaf::controls_devices);

    let placed = mounts::place(&spec.mounts)?;
    let usual = Usual::new(&placed);
    let ready = stubs.mount(&rootfs, &mounts::outermost(&placed, &usual))?;
    if nodev {
        let flags = Attributes { nodev, ..Attributes::default() };
        mount::set_attributes(&ready.mount, flags, false).map_err(RunError::mount("the root"))?;
    }

    let scratch = Scratch::new()?;
    if !host.in_user_namespace {
        scratch.devices()?;
    }
    let devpts = terminal::devpts(host.has_gid(terminal::TTY_GROUP).then_some(terminal::TTY_GROUP))?;
    let (standard, terminal, tty) = standard(io, host, &scratch, &devpts)?;

    let mut steps = vec![step(What::Plain("start a session"), Op::Session)];
    enter_namespaces(spec, leaf.as_ref(), &mut steps)?;
    let mut mounter = Mounter {
        spec,
        host,
        usual: &usual,
        scratch,
        takes: Vec::new(),
        steps: Vec::with_capacity(80),
        nodev,
    };
    mounter.usual(devpts, tty.is_some())?;
    for mount in &placed {
        mounter.add(mount)?;
    }
    parameters(spec, &mut mounter.steps)?;
    mounter.restrict()?;
    let Mounter { scratch, takes, steps: mount_steps, .. } = mounter;
    let slots = takes.iter().map(|_| Slot::default()).collect();
    steps.push(step(What::Plain("keep mounts private"), Op::PrivateMounts));
    steps.push(step(What::Plain("attach files in memory"), Op::Cover(scratch.into_mount())));
    steps.extend(takes);
    let waits = match &spec.hooks {
        None => {
            steps.push(step(What::Plain("enter the root"), Op::EnterRoot));
            steps.extend(mount_steps);
            None
        }
        Some(hooks) => Some(enter_with_hooks(hooks, mount_steps, &mut steps)?),
    };
    limits(spec, host, &mut steps, &mut warnings);
    finish(spec, host, rootfs.read_only, standard, tty, &mut steps)?;
    credentials(spec, host, program, Filtered::AsGiven, &mut steps)?;

    let kept_root = spec.root_ends_beside.then(|| duplicate(&ready.mount)).transpose()?;
    let plan = Plan { root: ready.mount, steps, slots, report: Report::default() };
    let flags = namespaces(spec, leaf.is_some());
    Ok(Prepared { plan, flags, created: ready.created, kept_root, terminal, leaf, waits, warnings })
}

/// Adds the mounts where hooks may find them, from the host's root, and then from the container's.
fn enter_with_hooks(
    hooks: &Arc<dyn Hooks>,
    mounts: Vec<Step>,
    steps: &mut Vec<Step>,
) -> Result<Waits, RunError> {
    let (waits, socket) = Waits::new(Arc::clone(hooks))?;
    let place = c_string(hooks.rootfs().as_os_str().as_bytes(), "the bundle's path")?;
    let what = || What::Plain("run the container's hooks");
    steps.push(step(What::Plain("bind the process to its parent"), Op::DieEarly(own_descriptor()?)));
    steps.push(step(What::Plain("show the host's /proc again"), Op::Uncover));
    steps.push(step(What::Plain("attach the root"), Op::AttachRoot(place)));
    steps.extend(mounts);
    steps.push(step(what(), Op::Wait(Arc::clone(&socket))));
    steps.push(step(What::Plain("enter the root"), Op::LeaveHost));
    steps.push(step(what(), Op::Wait(socket)));
    Ok(waits)
}

pub(super) fn check(spec: &ProcessSpec, host: &Host) -> Result<(), RunError> {
    if !spec.cwd.is_absolute() {
        let cwd = spec.cwd.display();
        return Err(RunError::Refused(format!(
            "the working directory '{cwd}' is invalid, it needs to be an absolute path"
        )));
    }
    host.check_ids(spec.user.uid, &[spec.user.gid])?;
    if host.may_set_groups {
        host.check_ids(spec.user.uid, &spec.user.groups)?;
    }
    Ok(())
}

/// Finds out what may have to be executed: the command itself, or its name in each directory of `PATH`.
pub(super) fn program(spec: &ProcessSpec) -> Result<Program, RunError> {
    let command = spec.args.first().ok_or(RunError::NoCommand)?;
    let arguments: Vec<CString> =
        spec.args.iter().map(|a| c_string(a, "an argument")).collect::<Result<_, _>>()?;
    let environment = spec
        .env
        .iter()
        .map(|(key, value)| c_string(&[key.as_slice(), b"=", value].concat(), "the environment"))
        .collect::<Result<_, _>>()?;
    let candidates = if command.contains(&b'/') {
        vec![arguments[0].clone()]
    } else {
        let path = spec.env.iter().rfind(|(key, _)| key == b"PATH").map(|(_, value)| value.as_slice());
        path.unwrap_or(DEFAULT_PATH.as_bytes())
            .split(|b| *b == b':')
            // A relative directory would let the working directory choose the program.
            .filter(|directory| directory.starts_with(b"/") && !command.is_empty())
            .map(|directory| c_string(&[directory, b"/", command].concat(), "PATH"))
            .collect::<Result<_, _>>()?
    };
    if candidates.is_empty() {
        return Err(RunError::NotInPath { name: String::from_utf8_lossy(command).into_owned() });
    }
    let init = spec.init.then(|| InitArguments::new(&arguments));
    Ok(Program {
        candidates,
        arguments: CStrings::new(arguments),
        environment: CStrings::new(environment),
        init,
    })
}

fn namespaces(spec: &ProcessSpec, joins_cgroup: bool) -> i32 {
    [
        (true, libc::CLONE_NEWNS),
        (spec.namespaces.pid.is_own(), libc::CLONE_NEWPID),
        (spec.namespaces.ipc.is_own(), libc::CLONE_NEWIPC),
        (spec.hostname.is_some(), libc::CLONE_NEWUTS),
        (matches!(spec.network, Network::None), libc::CLONE_NEWNET),
        // The root of a cgroup namespace is where its maker is, which is to be the new cgroup.
        (spec.namespaces.cgroup && !joins_cgroup, libc::CLONE_NEWCGROUP),
    ]
    .into_iter()
    .filter(|(wanted, _)| *wanted)
    .fold(0, |flags, (_, flag)| flags | flag)
}

fn enter_namespaces(spec: &ProcessSpec, leaf: Option<&Leaf>, steps: &mut Vec<Step>) -> Result<(), RunError> {
    if let Some(leaf) = leaf {
        for (list, unified) in leaf.process_lists()? {
            steps.push(step(What::Plain("join the cgroup"), Op::JoinCgroup { list, unified }));
        }
        if spec.namespaces.cgroup {
            let op = Op::Unshare(libc::CLONE_NEWCGROUP);
            steps.push(step(What::Plain("enter a cgroup namespace"), op));
        }
    }
    match &spec.network {
        Network::None => steps.push(step(What::Plain("set the loopback interface up"), Op::LoopbackUp)),
        Network::Join(fd) => {
            let op = Op::JoinNetwork(Arc::clone(fd));
            steps.push(step(What::Plain("join the network namespace"), op));
        }
        Network::Host => {}
    }
    if let Namespace::Of(process) = &spec.namespaces.ipc {
        let op = Op::JoinNamespaces(Arc::clone(process), libc::CLONE_NEWIPC);
        steps.push(step(What::Plain("join the IPC namespace"), op));
    }
    if let Some(name) = &spec.hostname {
        steps.push(step(What::Plain("set the host name"), Op::HostName(name.clone().into_bytes())));
    }
    if let (Some(name), Some(_)) = (&spec.domainname, &spec.hostname) {
        steps.push(step(What::Plain("set the domain name"), Op::DomainName(name.clone().into_bytes())));
    }
    Ok(())
}

/// The standard descriptors, our end of a terminal, and the process's end.
pub(super) type Standard = ([OwnedFd; 3], Option<OwnedFd>, Option<OwnedFd>);

fn standard(io: Io, host: &Host, scratch: &Scratch, devpts: &OwnedFd) -> Result<Standard, RunError> {
    let null = || match host.in_user_namespace {
        true => Ok(OwnedFd::from(Root::open("/dev".as_ref())?.open_rw("null", false)?)),
        false => scratch.null(),
    };
    if let Output::Terminal { rows, columns } = io.output {
        return Terminal::new(devpts, rows, columns)?.standard();
    }
    standard_pipes(io, null)
}

/// Returns the standard descriptors where there is no terminal.
pub(super) fn standard_pipes(
    io: Io,
    null: impl Fn() -> Result<OwnedFd, RunError>,
) -> Result<Standard, RunError> {
    let stdin = match io.stdin {
        Input::Fd(fd) => fd,
        Input::Null => null()?,
    };
    let (stdout, stderr) = match io.output {
        Output::Pipes { stdout, stderr } => (stdout, stderr),
        _ => (null()?, null()?),
    };
    // The child puts them in place one after the other, so none may be in another's place.
    Ok(([above_standard(stdin)?, above_standard(stdout)?, above_standard(stderr)?], None, None))
}

fn above_standard(fd: OwnedFd) -> Result<OwnedFd, RunError> {
    use std::os::fd::AsRawFd as _;
    if fd.as_raw_fd() > 3 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 4).map_err(|e| RunError::setup("duplicate a descriptor", e))
}

/// Kernel parameters and what is written below `/proc/self`, while it is not yet read-only.
fn parameters(spec: &ProcessSpec, steps: &mut Vec<Step>) -> Result<(), RunError> {
    for sysctl in &spec.sysctls {
        let path = match sysctl.key.contains('/') {
            true => sysctl.key.clone(),
            false => sysctl.key.replace('.', "/"),
        };
        let path = mounts::clean(&Path::new("/proc/sys").join(path))?;
        if !path.starts_with("proc/sys") {
            return Err(RunError::Refused(format!("invalid sysctl name {}", sysctl.key)));
        }
        let op = Op::Write { target: existing(&path), bytes: sysctl.value.clone().into_bytes() };
        let what = What::At("write", PathBuf::from(&sysctl.key));
        steps.push(Step { what, op, optional: sysctl.optional });
    }
    if let Some(score) = spec.oom_score_adj {
        let target = existing("proc/self/oom_score_adj");
        let op = Op::Write { target, bytes: score.to_string().into_bytes() };
        steps.push(step(What::Plain("set oom_score_adj"), op));
    }
    Ok(())
}

/// Adds the resource limits, clamped to what may be set.
pub(super) fn limits(spec: &ProcessSpec, host: &Host, steps: &mut Vec<Step>, warnings: &mut Vec<Warning>) {
    let may_raise = CapSet(host.capabilities).has(24) && !host.in_user_namespace;
    for Rlimit { resource, soft, hard } in spec.rlimits.iter().copied() {
        let now = rustix::process::getrlimit(resource).maximum;
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let allowed = if may_raise { hard } else { least(hard, now) };
        if allowed != hard {
            let limit = now.map_or("unlimited".into(), |n| n.to_string());
            warnings.push(Warning(format!(
                "the hard limit of {resource:?} can't be raised without CAP_SYS_RESOURCE, it stays {limit}"
            )));
        }
        let limit = KernelRlimit { current: least(soft, allowed), maximum: allowed };
        steps.push(step(What::Plain("set a resource limit"), Op::Limit(resource, limit)));
    }
}

/// Adds what comes after all mounts: the terminal, the descriptors, the working directory.
pub(super) fn finish(
    spec: &ProcessSpec,
    host: &Host,
    read_only: bool,
    standard: [OwnedFd; 3],
    tty: Option<OwnedFd>,
    steps: &mut Vec<Step>,
) -> Result<(), RunError> {
    if let Some(tty) = tty {
        let op = Op::Terminal(tty);
        steps.push(step(What::Plain("take the terminal"), op));
    }
    let init = spec.init.then(init::program).transpose()?;
    let owner = (spec.user.uid != 0 && host.may_set_groups).then_some(spec.user.uid);
    let maker = spec.dies_with_thread.then(own_descriptor).transpose()?;
    let op = Op::Descriptors { standard, init, maker, owner };
    steps.push(step(What::Plain("put descriptors in place"), op));
    let cwd = &spec.cwd;
    let mut prefixes = Vec::new();
    for path in cwd.ancestors().filter(|p| p.parent().is_some()) {
        prefixes.insert(0, c_string(path.as_os_str().as_bytes(), "the working directory")?);
    }
    let owner = if spec.user_owns_cwd { (spec.user.uid, spec.user.gid) } else { (0, 0) };
    let path = c_string(cwd.as_os_str().as_bytes(), "the working directory")?;
    let op = Op::Directory { path, prefixes, owner };
    steps.push(step(What::At("change to working directory", cwd.clone()), op));
    if read_only {
        let op = Op::RootAttributes(libc::MOUNT_ATTR_RDONLY);
        steps.push(step(What::Plain("make the root read-only"), op));
    }
    Ok(())
}

/// Returns a descriptor of this process, behind the numbers that the child gives out.
fn own_descriptor() -> Result<OwnedFd, RunError> {
    let flags = rustix::process::PidfdFlags::empty();
    rustix::process::pidfd_open(rustix::process::getpid(), flags)
        .and_then(|fd| rustix::io::fcntl_dupfd_cloexec(&fd, 5))
        .map_err(|e| RunError::setup("open a descriptor of this process", e))
}

/// By which capabilities the seccomp filter is made.
pub(super) enum Filtered {
    /// Those of the process.
    AsGiven,
    /// Others, which are the container's.
    For(CapSet),
}

/// Adds who the process is, what it may, and the program.
pub(super) fn credentials(
    spec: &ProcessSpec,
    host: &Host,
    program: Program,
    filtered: Filtered,
    steps: &mut Vec<Step>,
) -> Result<(), RunError> {
    let wanted = if spec.privileged { CapSet::ALL } else { spec.capabilities };
    let bounding = CapSet(wanted.0 & host.capabilities);
    let user = &spec.user;
    let groups = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let credentials =
        Credentials { uid: user.uid, gid: user.gid, groups: host.may_set_groups.then_some(groups) };
    let sets = |set: u64| CapabilitySets {
        effective: CapabilitySet::from_bits_retain(set),
        permitted: CapabilitySet::from_bits_retain(set),
        inheritable: CapabilitySet::empty(),
    };
    let filter = match spec.privileged {
        true => None,
        false => {
            let by = match filtered {
                Filtered::AsGiven => bounding,
                Filtered::For(set) => CapSet(set.0 & host.capabilities),
            };
            seccomp::filter(&spec.seccomp, by)?
        }
    };
    let last = if user.uid == 0 { bounding.0 } else { 0 };
    let capabilities = |set| step(What::Plain("set capabilities"), Op::Capabilities(sets(set)));
    let seccomp = filter.map(|f| step(What::Plain("install the seccomp filter"), Op::Seccomp(f)));
    steps.push(step(What::Plain("limit capabilities"), Op::Bounding(wanted.0)));
    let what = What::At("become user", PathBuf::from(user.uid.to_string()));
    steps.push(step(what, Op::Credentials(credentials)));
    if spec.no_new_privileges {
        steps.push(capabilities(last));
        steps.push(step(What::Plain("forbid new privileges"), Op::NoNewPrivileges));
        steps.extend(seccomp);
    } else {
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is kept until then.
        steps.push(capabilities(host.capabilities));
        steps.extend(seccomp);
        steps.push(capabilities(last));
    }
    if spec.dies_with_thread {
        // Behind the standard ones and the init's.
        let maker = 3 + i32::from(spec.init);
        steps.push(step(What::Plain("bind the process to its parent"), Op::DieWithParent(maker)));
    }
    steps.push(step(What::Plain("execute"), Op::Execute(program)));
    Ok(())
}
