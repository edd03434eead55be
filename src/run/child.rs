//! What the child does between being made and executing the program.
//!
//! The child shares the memory of its parent, whose other threads run on: so nothing here allocates, locks or
//! panics. It works off a list of steps whose strings and descriptors the parent has prepared, by system calls alone,
//! and on failure leaves the number of the step and the kernel's answer in the plan, where the parent finds them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};
use rustix::process::{Gid, Rlimit, Uid};
use rustix::thread::CapabilitySets;

use super::spec::Resource;
use super::sys::{self, CStrings, InitArguments, Instruction};
use crate::fs::{MountChange, mount_setattr};

/// Where the init's program is open while it is executed.
const INIT_FD: RawFd = 3;

/// Everything the child needs.
pub(super) struct Plan {
    /// The root of the container, a mount that is attached nowhere yet.
    pub root: OwnedFd,
    pub steps: Vec<Step>,
    pub slots: Vec<Slot>,
    pub report: Report,
}

/// A mount that the child clones before it leaves the host's root, and attaches after that.
pub(super) struct Slot {
    fd: AtomicI32,
    attached: AtomicBool,
}

impl Default for Slot {
    fn default() -> Self {
        Self { fd: AtomicI32::new(-1), attached: AtomicBool::new(false) }
    }
}

/// A step with what it does, for the error message.
pub(super) struct Step {
    pub what: What,
    pub op: Op,
    /// Whether its failure is passed over.
    pub optional: bool,
}

/// What a step does, in words.
pub(super) enum What {
    Plain(&'static str),
    At(&'static str, std::path::PathBuf),
}

/// Where the child says what went wrong.
#[derive(Default)]
pub(super) struct Report {
    /// Whether the child was made in its unified cgroup.
    pub in_cgroup: AtomicBool,
    pub step: AtomicUsize,
    pub errno: AtomicI32,
    /// Which candidate of the program failed.
    pub candidate: AtomicUsize,
    /// See [`EXISTS`] and [`DIRECTORY`].
    pub detail: AtomicI32,
}

/// The program could not be executed though it is there.
pub(super) const EXISTS: i32 = 1;
/// The program is a directory.
pub(super) const DIRECTORY: i32 = 2;

/// A place below the root.
pub(super) struct Target {
    /// Relative to the root.
    pub path: CString,
    /// What to make of it when it is missing, which only happens inside another mount.
    pub make: Option<Make>,
    /// Whether it must not lead through links, as for what other mounts rely on.
    pub plain: bool,
}

pub(super) struct Make {
    pub directory: bool,
    /// Each parent (relative to the root, empty for the root), and the name in it, outermost first.
    pub parts: Vec<(CString, CString)>,
}

pub(super) struct Credentials {
    pub uid: u32,
    pub gid: u32,
    /// None where the user namespace does not allow setting groups.
    pub groups: Option<Vec<Gid>>,
}

pub(super) struct Program {
    /// Paths to try in turn.
    pub candidates: Vec<CString>,
    pub arguments: CStrings,
    pub environment: CStrings,
    pub init: Option<InitArguments>,
}

pub(super) enum Op {
    /// A session of its own, and no limits on modes while it is set up.
    Session,
    /// Writes "0" into an open list of a cgroup's processes, unless it is the unified one and the process is there.
    JoinCgroup {
        list: OwnedFd,
        unified: bool,
    },
    Unshare(i32),
    JoinNetwork(Arc<OwnedFd>),
    /// Joins these namespaces (`CLONE_NEW*`) of the process that a descriptor names.
    JoinNamespaces(Arc<OwnedFd>, i32),
    LoopbackUp,
    /// No mount made here shows elsewhere.
    PrivateMounts,
    /// Attaches a mount over the host's `/proc`, as this process sees it, so that parts of it can be cloned.
    Cover(OwnedFd),
    /// Clones a part of the covering mount, to be attached later.
    Take {
        source: Arc<OwnedFd>,
        slot: usize,
        attributes: u64,
    },
    /// Attaches the container's root, makes it the root and lets go of the host's.
    EnterRoot,
    /// Takes away what covers the host's `/proc`.
    Uncover,
    /// Attaches the container's root at a place of the host's.
    AttachRoot(CString),
    /// Makes the attached root the root, and lets go of the host's.
    LeaveHost,
    /// Waits until hooks have run.
    Wait(Arc<OwnedFd>),
    /// Dies with the thread that made it, from here until it changes who it is.
    DieEarly(OwnedFd),
    /// Mounts what depends on the child's own namespaces, to be attached later; where it may not, `instead` is taken.
    ///
    /// In a user namespace it must happen before the host's root is left, for the kernel wants to see one that hides nothing.
    Make {
        kind: &'static CStr,
        attributes: MountAttrFlags,
        slot: usize,
        instead: Option<OwnedFd>,
    },
    /// Attaches a prepared mount.
    Attach {
        mount: OwnedFd,
        target: Target,
    },
    /// Attaches what was taken.
    Give {
        slot: usize,
        target: Target,
    },
    /// Attaches a clone of a path of the container.
    CloneInside {
        source: CString,
        target: Target,
    },
    /// Shows an empty file or directory instead of a path, if it is there.
    Mask {
        target: Target,
        file: usize,
        directory: usize,
    },
    /// Makes a path read-only, if it is there.
    ReadOnly(Target),
    /// Writes into a file of the container's `/proc`.
    Write {
        target: Target,
        bytes: Vec<u8>,
    },
    HostName(Vec<u8>),
    DomainName(Vec<u8>),
    Limit(Resource, Rlimit),
    Terminal(OwnedFd),
    /// Puts the three standard descriptors in place, gives pipes to the user, closes all others.
    Descriptors {
        standard: [OwnedFd; 3],
        init: Option<Arc<OwnedFd>>,
        maker: Option<OwnedFd>,
        owner: Option<u32>,
    },
    /// Goes to the working directory, making it first where it is missing.
    Directory {
        path: CString,
        prefixes: Vec<CString>,
        owner: (u32, u32),
    },
    /// Sets attributes of the mount at the root.
    RootAttributes(u64),
    /// Dies with the thread that made it.
    /// Dies with the thread that made it. The number is that of a descriptor of the maker (pidfd_open(2)), put in place
    /// with the others.
    DieWithParent(RawFd),
    /// Keeps these capabilities only in the bounding set.
    Bounding(u64),
    Credentials(Credentials),
    Capabilities(CapabilitySets),
    NoNewPrivileges,
    Seccomp(Arc<Vec<Instruction>>),
    Execute(Program),
}

/// Works off the plan; the process becomes the program or ends.
pub(super) fn run(plan: &Plan) -> i32 {
    sys::reset_signals();
    for (number, step) in plan.steps.iter().enumerate() {
        if let Err(errno) = perform(&step.op, plan)
            && !step.optional
        {
            plan.report.errno.store(errno.raw_os_error(), Ordering::Relaxed);
            plan.report.step.store(number, Ordering::Relaxed);
            break;
        }
    }
    127
}

fn perform(op: &Op, plan: &Plan) -> Result<(), Errno> {
    match op {
        Op::Session => {
            rustix::process::umask(Mode::empty());
            rustix::process::setsid().map(drop)
        }
        Op::JoinCgroup { unified: true, .. } if plan.report.in_cgroup.load(Ordering::Relaxed) => Ok(()),
        Op::JoinCgroup { list, .. } => rustix::io::write(list, b"0").map(drop),
        Op::Unshare(flags) => sys::unshare(*flags),
        Op::JoinNetwork(fd) => sys::set_namespace(fd.as_fd(), libc::CLONE_NEWNET),
        Op::JoinNamespaces(_, 0) => Ok(()),
        Op::JoinNamespaces(fd, kinds) => sys::set_namespace(fd.as_fd(), *kinds),
        Op::LoopbackUp => sys::loopback_up(),
        Op::PrivateMounts => mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE),
        Op::Cover(fd) => attach_at(fd.as_fd(), CWD, c"/proc"),
        Op::EnterRoot => {
            attach_at(plan.root.as_fd(), CWD, c"/")?;
            leave_host(plan)
        }
        Op::Uncover => unmount(c"/proc", UnmountFlags::DETACH),
        Op::AttachRoot(place) => attach_at(plan.root.as_fd(), CWD, place),
        Op::LeaveHost => leave_host(plan),
        Op::Wait(socket) => wait(socket),
        Op::DieEarly(maker) => die_with(maker.as_fd()),
        Op::Take { source, slot, attributes } => take(plan, source, *slot, *attributes),
        Op::Make { kind, attributes, slot, instead } => {
            make(plan, kind, *attributes, *slot, instead.as_ref())
        }
        Op::Attach { mount, target } => attach(plan, mount.as_fd(), target),
        Op::Give { slot, target } => give(plan, *slot, open_target(plan, target)?.as_fd()),
        Op::CloneInside { source, target } => {
            let source = open(plan, source, OFlags::PATH, ResolveFlags::empty())?;
            let place = open_target(plan, target)?;
            attach_at(clone_of(source.as_fd(), 0)?.as_fd(), place.as_fd(), c"")
        }
        Op::Mask { target, file, directory } => mask(plan, target, *file, *directory),
        Op::ReadOnly(target) => read_only(plan, target),
        Op::Write { target, bytes } => {
            let file = open(plan, &target.path, OFlags::WRONLY, ResolveFlags::empty())?;
            rustix::io::write(file, bytes).map(drop)
        }
        Op::HostName(name) => rustix::system::sethostname(name),
        Op::DomainName(name) => rustix::system::setdomainname(name),
        Op::Limit(resource, limit) => rustix::process::setrlimit(*resource, *limit),
        Op::Terminal(fd) => sys::set_controlling_terminal(fd.as_fd()),
        Op::Descriptors { standard, init, maker, owner } => {
            descriptors(standard, [init.as_deref(), maker.as_ref()], *owner)
        }
        Op::Directory { path, prefixes, owner } => change_directory(path, prefixes, *owner),
        Op::RootAttributes(set) => {
            let root = rustix::fs::openat2(
                CWD,
                c"/",
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::empty(),
            )?;
            mount_setattr(root.as_fd(), false, MountChange { set: *set, ..MountChange::default() })
        }
        Op::DieWithParent(maker) => die_with(sys::borrow(*maker)),
        Op::Bounding(set) => keep_in_bounding_set(*set),
        Op::Credentials(credentials) => become_user(credentials),
        Op::Capabilities(sets) => rustix::thread::set_capabilities(None, *sets),
        Op::NoNewPrivileges => rustix::thread::set_no_new_privs(true),
        Op::Seccomp(program) => sys::install_seccomp(program),
        Op::Execute(program) => Err(execute(program, &plan.report)),
    }
}

/// Asks for a signal at the maker's death, and looks whether it came too late.
fn die_with(maker: BorrowedFd<'_>) -> Result<(), Errno> {
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)?;
    // The descriptor of a process that has ended is readable.
    let mut ended = [rustix::event::PollFd::new(&maker, rustix::event::PollFlags::IN)];
    match rustix::event::poll(&mut ended, Some(&rustix::event::Timespec::default()))? {
        0 => Ok(()),
        _ => Err(Errno::SRCH),
    }
}

/// Opens a path below the root, whose links lead nowhere else.
fn open(plan: &Plan, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { c"." } else { path };
    for _ in 0..1000 {
        match rustix::fs::openat2(&plan.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn open_target(plan: &Plan, target: &Target) -> Result<OwnedFd, Errno> {
    let resolve = if target.plain { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::empty() };
    match (open(plan, &target.path, OFlags::PATH, resolve), &target.make) {
        (Err(Errno::NOENT), Some(make)) => make_target(plan, make)?,
        (other, _) => return other,
    }
    open(plan, &target.path, OFlags::PATH, resolve)
}

fn make_target(plan: &Plan, make: &Make) -> Result<(), Errno> {
    let last = make.parts.len().saturating_sub(1);
    for (number, (parent, name)) in make.parts.iter().enumerate() {
        let parent = open(plan, parent, OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty())?;
        let made = if number < last || make.directory {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))
        } else {
            rustix::fs::mknodat(&parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn attach_at(mount: BorrowedFd<'_>, at: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    move_mount(mount, c"", at, path, flags)
}

fn attach(plan: &Plan, mount: BorrowedFd<'_>, target: &Target) -> Result<(), Errno> {
    attach_at(mount, open_target(plan, target)?.as_fd(), c"")
}

fn clone_of(source: BorrowedFd<'_>, attributes: u64) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let clone = open_tree(source, c"", flags)?;
    if attributes != 0 {
        mount_setattr(clone.as_fd(), true, MountChange { set: attributes, ..MountChange::default() })?;
    }
    Ok(clone)
}

fn take(plan: &Plan, source: &OwnedFd, slot: usize, attributes: u64) -> Result<(), Errno> {
    let clone = clone_of(source.as_fd(), attributes)?;
    plan.slots[slot].fd.store(clone.into_raw_fd(), Ordering::Relaxed);
    Ok(())
}

/// Attaches a taken mount, or a clone of it once it is attached somewhere.
fn give(plan: &Plan, slot: usize, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let slot = &plan.slots[slot];
    let fd = slot.fd.load(Ordering::Relaxed);
    if fd < 0 {
        // Making it was optional and failed.
        return Err(Errno::NODEV);
    }
    let mount = sys::borrow(fd);
    if slot.attached.swap(true, Ordering::Relaxed) {
        return attach_at(clone_of(mount, 0)?.as_fd(), place, c"");
    }
    attach_at(mount, place, c"")
}

/// Tells the parent that this is as far as it goes, and waits for leave to go on.
fn wait(socket: &OwnedFd) -> Result<(), Errno> {
    rustix::io::write(socket, b".")?;
    let mut answer = [0u8];
    loop {
        match rustix::io::read(socket, &mut answer) {
            Err(Errno::INTR) => {}
            Ok(1) if answer == [1] => return Ok(()),
            Err(errno) => return Err(errno),
            Ok(_) => return Err(Errno::CANCELED),
        }
    }
}

fn leave_host(plan: &Plan) -> Result<(), Errno> {
    rustix::process::fchdir(&plan.root)?;
    rustix::process::pivot_root(c".", c".")?;
    // On top of the new root lies the old one. It must go before any path is looked up: `..` at the root leads to what is
    // on top of it.
    rustix::process::fchdir(&plan.root)?;
    unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

fn make(
    plan: &Plan,
    kind: &CStr,
    attributes: MountAttrFlags,
    slot: usize,
    instead: Option<&OwnedFd>,
) -> Result<(), Errno> {
    let mount = match (mount_of(kind, attributes), instead) {
        (Ok(mount), _) => mount.into_raw_fd(),
        (Err(Errno::PERM | Errno::BUSY), Some(tree)) => tree.as_raw_fd(),
        (Err(errno), _) => return Err(errno),
    };
    plan.slots[slot].fd.store(mount, Ordering::Relaxed);
    Ok(())
}

fn mount_of(kind: &CStr, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", kind)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Whether the kernel said that there is nothing to hide.
fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

fn mask(plan: &Plan, target: &Target, file: usize, directory: usize) -> Result<(), Errno> {
    let place = match open(plan, &target.path, OFlags::PATH, ResolveFlags::empty()) {
        Err(errno) if is_missing(errno) => return Ok(()),
        other => other?,
    };
    let mode = rustix::fs::fstat(&place)?.st_mode;
    let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
    give(plan, if is_directory { directory } else { file }, place.as_fd())
}

fn read_only(plan: &Plan, target: &Target) -> Result<(), Errno> {
    let place = match open(plan, &target.path, OFlags::PATH, ResolveFlags::empty()) {
        Err(errno) if is_missing(errno) => return Ok(()),
        other => other?,
    };
    let clone = clone_of(place.as_fd(), libc::MOUNT_ATTR_RDONLY)?;
    attach_at(clone.as_fd(), place.as_fd(), c"")
}

fn descriptors(
    standard: &[OwnedFd; 3],
    kept: [Option<&OwnedFd>; 2],
    owner: Option<u32>,
) -> Result<(), Errno> {
    for (number, fd) in standard.iter().enumerate() {
        // A user other than root opens /dev/stdout by name, which the mode of the pipe must allow.
        if let Some(uid) = owner
            && let Ok(stat) = rustix::fs::fstat(fd)
            && FileType::from_raw_mode(stat.st_mode) == FileType::Fifo
        {
            let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None);
        }
        sys::dup_onto(fd.as_fd(), number as RawFd, false)?;
    }
    let mut next = INIT_FD;
    for fd in kept.into_iter().flatten() {
        sys::dup_onto(fd.as_fd(), next, true)?;
        next += 1;
    }
    sys::close_from(next.cast_unsigned())
}

fn change_directory(path: &CStr, prefixes: &[CString], owner: (u32, u32)) -> Result<(), Errno> {
    match rustix::process::chdir(path) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    for prefix in prefixes {
        match rustix::fs::mkdirat(CWD, prefix, Mode::from_raw_mode(0o755)) {
            Ok(()) => rustix::fs::chownat(CWD, prefix, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::process::chdir(path)
}

fn keep_in_bounding_set(set: u64) -> Result<(), Errno> {
    for number in (0..64).filter(|number| set & (1 << number) == 0) {
        match sys::prctl(libc::PR_CAPBSET_DROP, number) {
            // The kernel has no capability of that number, nor of any greater one.
            Err(Errno::INVAL) => break,
            other => other?,
        };
    }
    Ok(())
}

fn become_user(credentials: &Credentials) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid));
    rustix::thread::set_keep_capabilities(true)?;
    if let Some(groups) = &credentials.groups {
        rustix::thread::set_thread_groups(groups)?;
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_keep_capabilities(false)
}

/// Executes the first candidate that is there; returns only on failure.
fn execute(program: &Program, report: &Report) -> Errno {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    sys::block_signals(false);
    let mut answer = Errno::NOENT;
    for (number, path) in program.candidates.iter().enumerate() {
        let errno = execute_one(program, path);
        report.candidate.store(number, Ordering::Relaxed);
        let stat = rustix::fs::statat(CWD, path, AtFlags::empty());
        let detail = match stat.map(|s| FileType::from_raw_mode(s.st_mode)) {
            Ok(FileType::Directory) => DIRECTORY,
            Ok(_) => EXISTS,
            Err(_) => 0,
        };
        let next = number + 1 < program.candidates.len();
        match errno {
            Errno::NOENT | Errno::NOTDIR if detail == 0 => {}
            Errno::ACCESS if detail != EXISTS && next => {}
            // As in a shell, a file that can't be executed hides none further on.
            Errno::ACCESS if next => {}
            errno => {
                report.detail.store(detail, Ordering::Relaxed);
                return errno;
            }
        }
        answer = errno;
    }
    answer
}

fn execute_one(program: &Program, path: &CStr) -> Errno {
    let Some(init) = &program.init else {
        return sys::execve(path, &program.arguments, &program.environment);
    };
    match rustix::fs::statat(CWD, path, AtFlags::empty()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => return Errno::ACCESS,
        Ok(_) => {}
        Err(errno) => return errno,
    }
    match rustix::fs::accessat(CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => sys::execute_init(INIT_FD, path, init, &program.environment),
        Err(errno) => errno,
    }
}
