//! System calls that rustix lacks, and the making of the child process: the only unsafe code of `run`.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use rustix::io::Errno;

/// Bytes of the child's stack. The child nests a handful of calls with small frames.
const STACK: usize = 256 << 10;
const GUARD: usize = 4096;

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

/// A stack with an unmapped page below it.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), STACK + GUARD, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(last_errno());
        }
        let stack = Self(base);
        // SAFETY: the first page of the mapping made above, which nobody uses yet.
        check(libc::c_long::from(unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) }))?;
        Ok(stack)
    }

    fn top(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK + GUARD)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; the child that used it has its own memory or is gone.
        unsafe { libc::munmap(self.0, STACK + GUARD) };
    }
}

struct Entry<'a, T> {
    run: fn(&T) -> c_int,
    data: &'a T,
}

extern "C" fn entry<T>(argument: *mut c_void) -> c_int {
    // SAFETY: `clone_vfork` passes a pointer to an `Entry<T>` on the stack of the parent's thread, which stands still
    // until the child executes a program or exits.
    let entry = unsafe { &*argument.cast::<Entry<'_, T>>() };
    (entry.run)(entry.data)
}

/// Makes a child process that shares the memory of this one until it executes a program or exits, and waits for that.
///
/// `run` must be fit for it: only system calls on what was prepared, no allocation, no lock, no panic. It starts with
/// every signal blocked and no signal handler. `flags` are namespaces (`CLONE_NEW*`). With `cgroup`, a directory of
/// cgroup v2, the child starts there; where the kernel or its guard does not let it, the error says so (see
/// [`is_refusal`]) and nothing was made.
pub fn clone_vfork<T: Sync>(
    flags: c_int,
    cgroup: Option<BorrowedFd<'_>>,
    run: fn(&T) -> c_int,
    data: &T,
) -> Result<(i32, OwnedFd), Errno> {
    let stack = Stack::new()?;
    let mut argument = Entry { run, data };
    let mut pidfd: c_int = -1;
    let all = u64::MAX;
    let mut before = 0u64;
    // SAFETY: both masks are 64 bits as the kernel's; the thread's old mask is put back below.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut before, 8usize)
    };
    let argument: *mut c_void = (&raw mut argument).cast();
    let result = match cgroup {
        Some(cgroup) => into_cgroup(flags, cgroup, &stack, entry::<T>, argument, &mut pidfd),
        None => {
            let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
            // SAFETY: the stack is as large as said and this child's alone; the argument and the descriptor's place
            // outlive the call, which returns when the child no longer uses this memory (CLONE_VFORK). The child, by
            // this function's contract, touches only `data` and its own stack, and `errno` of this thread, which
            // stands still.
            let pid = unsafe {
                libc::clone(entry::<T>, stack.top(), flags, argument, &raw mut pidfd as *mut c_void)
            };
            check(libc::c_long::from(pid))
        }
    };
    // SAFETY: as above; the mask is the one read there.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const before,
            ptr::null_mut::<u64>(),
            8usize,
        )
    };
    let pid = result?;
    // SAFETY: the kernel stored a new descriptor there, which nobody else owns.
    Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Whether an error of [`clone_vfork`] means that children can't start in a cgroup, but may enter it later.
pub fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOSYS
            | Errno::TOOBIG
            | Errno::INVAL
            | Errno::PERM
            | Errno::ACCESS
            | Errno::OPNOTSUPP
            | Errno::BUSY
    )
}

/// As in `linux/sched.h`; libc's constant is too narrow for it.
#[cfg(target_arch = "x86_64")]
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// As clone(2) with CLONE_VM and CLONE_VFORK, by clone3(2) with CLONE_INTO_CGROUP: entering a cgroup any later waits
/// for all processors.
#[cfg(target_arch = "x86_64")]
fn into_cgroup(
    flags: c_int,
    cgroup: BorrowedFd<'_>,
    stack: &Stack,
    entry: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
    pidfd: &mut c_int,
) -> Result<libc::c_long, Errno> {
    let namespaces = u64::from(flags.cast_unsigned());
    let vfork = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    // SAFETY: a structure of numbers, for which zeros mean: nothing of it.
    let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
    request.flags = namespaces | vfork | CLONE_INTO_CGROUP;
    request.pidfd = ptr::from_mut(pidfd) as u64;
    request.exit_signal = libc::SIGCHLD as u64;
    request.stack = stack.top() as u64 - STACK as u64;
    request.stack_size = STACK as u64;
    request.cgroup = cgroup.as_raw_fd() as u64;
    let result: libc::c_long;
    // SAFETY: as for clone(2) above. The child begins behind the first instruction on its own, aligned stack, calls
    // `entry` and ends in this block; the parent goes on at its end with every register but the named ones as it was.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "mov edi, eax",
            "mov eax, 60",
            "syscall",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw mut request,
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 { Err(Errno::from_raw_os_error(-(result as i32))) } else { Ok(result) }
}

#[cfg(not(target_arch = "x86_64"))]
fn into_cgroup(
    _: c_int,
    _: BorrowedFd<'_>,
    _: &Stack,
    _: extern "C" fn(*mut c_void) -> c_int,
    _: *mut c_void,
    _: &mut c_int,
) -> Result<libc::c_long, Errno> {
    Err(Errno::NOSYS)
}

/// Gives every signal its default effect.
pub fn reset_signals() {
    // A kernel `struct sigaction` of zeros: SIG_DFL, no flags, empty mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: the structure is as large as the kernel's and only read; signals that can't be changed give an error.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), 8usize)
        };
    }
}

/// Blocks no signal, or every one, in this thread.
pub fn block_signals(blocked: bool) {
    let mask = if blocked { u64::MAX } else { 0 };
    // SAFETY: the mask is 64 bits as the kernel's and only read.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            ptr::null_mut::<u64>(),
            8usize,
        )
    };
}

/// Ends this process at once, without any destructor.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: the call does not return and runs no code of ours.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: only called in the child, whose table is its own; its `OwnedFd`s are never dropped.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) }).map(drop)
}

/// Makes `fd` available under a number; it stays open across execve unless `close_on_exec`.
pub fn dup_onto(fd: BorrowedFd<'_>, number: RawFd, close_on_exec: bool) -> Result<(), Errno> {
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: only called in the child, whose table is its own, with numbers that nothing of ours has.
    check(unsafe { libc::syscall(libc::SYS_dup3, fd.as_raw_fd(), number, flags) }).map(drop)
}

/// Borrows a descriptor that the child has opened and never closes by itself.
pub fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    assert!(fd >= 0);
    // SAFETY: only called in the child, for numbers whose owner it has given up with `into_raw_fd`.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Sets the loopback interface of this network namespace up.
pub fn loopback_up() -> Result<(), Errno> {
    // SAFETY: plain system calls on a structure of this frame; the socket is closed before the return.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(libc::c_long::from(socket))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as c_char;
        request.ifr_name[1] = b'o' as c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
        let result =
            check(libc::c_long::from(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw mut request)));
        libc::close(socket);
        result.map(drop)
    }
}

/// Joins the namespace of kind `kind` (`CLONE_NEW*`) that a descriptor names.
pub fn set_namespace(fd: BorrowedFd<'_>, kind: c_int) -> Result<(), Errno> {
    // SAFETY: changes this process's view of the system, not of its memory or descriptors.
    check(libc::c_long::from(unsafe { libc::setns(fd.as_raw_fd(), kind) })).map(drop)
}

/// Returns the number that no other mount namespace of this boot has (ioctl_nsfs(2)).
pub fn mount_namespace_id(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    /// `NS_GET_MNTNS_ID`.
    const GET_ID: libc::c_ulong = 0x8008_b705;
    let mut id = 0u64;
    // SAFETY: the request writes a number of 64 bits, which `id` is.
    check(libc::c_long::from(unsafe { libc::ioctl(fd.as_raw_fd(), GET_ID as _, &raw mut id) }))?;
    Ok(id)
}

/// Enters new namespaces (`CLONE_NEW*`).
pub fn unshare(flags: c_int) -> Result<(), Errno> {
    // SAFETY: only namespaces are unshared, no descriptor table.
    check(libc::c_long::from(unsafe { libc::unshare(flags) })).map(drop)
}

/// Makes a terminal the controlling one of this session.
pub fn set_controlling_terminal(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: this ioctl takes a number.
    check(libc::c_long::from(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY as _, 0) })).map(drop)
}

/// One instruction of a seccomp filter, `struct sock_filter`.
pub type Instruction = libc::sock_filter;

/// Installs a seccomp filter for this thread.
pub fn install_seccomp(program: &[Instruction]) -> Result<(), Errno> {
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which is as long as said, and checks it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) })
        .map(drop)
}

/// Sends a signal, real-time ones included, to the process of a pidfd.
pub fn signal_pidfd(fd: BorrowedFd<'_>, signal: c_int) -> Result<(), Errno> {
    // SAFETY: the call takes numbers and an optional pointer, here none.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, ptr::null::<c_void>(), 0u32)
    })
    .map(drop)
}

/// C strings with the pointer table that execve wants.
#[derive(Debug)]
pub struct CStrings {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead into `strings`, which live as long and are never changed.
unsafe impl Sync for CStrings {}
// SAFETY: as above; the strings' heap blocks move with no one.
unsafe impl Send for CStrings {}

impl CStrings {
    /// Returns the table of `strings`, ended by a null pointer.
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Self { strings, pointers }
    }

    /// Returns the strings.
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }
}

/// Executes a program; returns only on failure.
pub fn execve(path: &CStr, arguments: &CStrings, environment: &CStrings) -> Errno {
    // SAFETY: both tables end with a null pointer and lead to C strings; the kernel only reads them.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    last_errno()
}

/// The arguments of the built-in init: its name, the program's path (chosen late), the program's arguments.
#[derive(Debug)]
pub struct InitArguments {
    _strings: Vec<CString>,
    table: Vec<AtomicPtr<c_char>>,
}

impl InitArguments {
    /// Returns the table for a program with these arguments.
    pub fn new(arguments: &[CString]) -> Self {
        let strings: Vec<CString> =
            [c"skiff-init".to_owned()].into_iter().chain(arguments.to_vec()).collect();
        let mut pointers: Vec<*mut c_char> = strings.iter().map(|s| s.as_ptr().cast_mut()).collect();
        pointers.insert(1, ptr::null_mut());
        pointers.push(ptr::null_mut());
        Self { _strings: strings, table: pointers.into_iter().map(AtomicPtr::new).collect() }
    }
}

/// Executes the init that descriptor `program` is open on, to start the program at `path`; returns only on failure.
pub fn execute_init(program: RawFd, path: &CStr, arguments: &InitArguments, environment: &CStrings) -> Errno {
    arguments.table[1].store(path.as_ptr().cast_mut(), Ordering::Relaxed);
    let table: *const *const c_char = arguments.table.as_ptr().cast();
    // SAFETY: an `AtomicPtr` is laid out as a pointer; both tables end with a null pointer and lead to C strings, which
    // the kernel only reads; the path is empty and the descriptor names the program.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            table,
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// Calls prctl with an operation that takes one number.
pub fn prctl(operation: c_int, argument: u64) -> Result<c_int, Errno> {
    // SAFETY: only used for operations whose argument is a number (PR_CAPBSET_DROP and its kind).
    let result = unsafe { libc::prctl(operation, argument, 0u64, 0u64, 0u64) };
    check(libc::c_long::from(result)).map(|r| r as c_int)
}

// The program of `init.rs`. Registers: r15 = stack at entry (argc, arguments, environment), r13 = the program's process,
// r14 = its wait status or -1. System calls clobber rax, rcx and r11 only.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".pushsection .rodata.skiff_init, \"a\", @progbits",
    ".balign 16",
    ".globl skiff_init_start",
    ".globl skiff_init_end",
    ".hidden skiff_init_start",
    ".hidden skiff_init_end",
    "skiff_init_start:",
    "mov r15, rsp",
    "sub rsp, 64",
    "and rsp, -16",
    "mov eax, 157", // prctl(PR_SET_NAME, name)
    "mov edi, 15",
    "lea rsi, [rip + 90f]",
    "syscall",
    "mov qword ptr [rsp], -1",
    "mov eax, 14", // rt_sigprocmask(SIG_SETMASK, all, null, 8)
    "mov edi, 2",
    "mov rsi, rsp",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "mov eax, 56", // clone(SIGCHLD)
    "mov edi, 17",
    "xor esi, esi",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "syscall",
    "test rax, rax",
    "jz 50f",
    "js 60f",
    "mov r13d, eax",
    "mov r14, -1",
    "20:",
    "mov qword ptr [rsp], -1",
    "mov eax, 128", // rt_sigtimedwait(all, null, null, 8)
    "mov rdi, rsp",
    "xor esi, esi",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "test eax, eax",
    "js 20b",
    "cmp eax, 17",
    "je 30f",
    "cmp eax, 21", // SIGTTIN and SIGTTOU concern init alone
    "je 20b",
    "cmp eax, 22",
    "je 20b",
    "mov esi, eax", // kill(program, signal)
    "mov edi, r13d",
    "mov eax, 62",
    "syscall",
    "jmp 20b",
    "30:", // wait4(-1, status, WNOHANG, null) until nobody is left
    "mov eax, 61",
    "mov rdi, -1",
    "lea rsi, [rsp + 16]",
    "mov edx, 1",
    "xor r10d, r10d",
    "syscall",
    "test eax, eax",
    "jle 40f",
    "cmp eax, r13d",
    "jne 30b",
    "mov r14d, dword ptr [rsp + 16]",
    "jmp 30b",
    "40:",
    "cmp r14, -1",
    "je 20b",
    "mov edi, r14d",
    "and edi, 127",
    "jnz 45f",
    "mov edi, r14d",
    "shr edi, 8",
    "and edi, 255",
    "jmp 70f",
    "45:",
    "add edi, 128",
    "jmp 70f",
    "50:", // the program: setpgid(0, 0)
    "mov eax, 109",
    "xor edi, edi",
    "xor esi, esi",
    "syscall",
    "mov eax, 39", // getpid()
    "syscall",
    "mov dword ptr [rsp + 16], eax",
    "mov eax, 16", // ioctl(0, TIOCSPGRP, own group); no terminal is no harm
    "xor edi, edi",
    "mov esi, 0x5410",
    "lea rdx, [rsp + 16]",
    "syscall",
    "mov qword ptr [rsp], 0",
    "mov eax, 14", // rt_sigprocmask(SIG_SETMASK, none, null, 8)
    "mov edi, 2",
    "mov rsi, rsp",
    "xor edx, edx",
    "mov r10d, 8",
    "syscall",
    "mov rcx, qword ptr [r15]", // execve(argv[1], argv + 2, environment)
    "mov rdi, qword ptr [r15 + 16]",
    "lea rsi, [r15 + 24]",
    "lea rdx, [r15 + rcx * 8 + 16]",
    "mov eax, 59",
    "syscall",
    "mov edi, 126",
    "cmp eax, -2",
    "jne 70f",
    "mov edi, 127",
    "jmp 70f",
    "60:",
    "mov edi, 125",
    "70:", // exit_group(edi)
    "mov eax, 231",
    "syscall",
    "ud2",
    "90:",
    ".asciz \"skiff-init\"",
    "skiff_init_end:",
    ".popsection",
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    static skiff_init_start: u8;
    static skiff_init_end: u8;
}

/// Returns the machine code of the init program, which may lie anywhere.
#[cfg(target_arch = "x86_64")]
pub fn init_code() -> &'static [u8] {
    let (start, end) = (&raw const skiff_init_start, &raw const skiff_init_end);
    // SAFETY: both labels are in one read-only section, the second behind the first, and are never written.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Forks; returns the child's number to the parent and none to the child.
///
/// The child has a copy of all memory but only this thread, so a process with threads must not use it.
pub fn fork() -> Result<Option<rustix::process::Pid>, Errno> {
    // SAFETY: the caller has a single thread, so no lock is held by one that does not exist in the child.
    let pid = unsafe { libc::fork() };
    check(libc::c_long::from(pid)).map(|_| rustix::process::Pid::from_raw(pid))
}

/// Gives pages of a mapping of a file back that nobody has changed.
#[inline]
pub fn forget_pages(start: usize, length: usize) {
    let start = ptr::without_provenance_mut::<c_void>(start);
    // SAFETY: the caller names a private mapping of a file without pages of its own: whatever reads it again, finds the
    // same bytes in the file.
    let _ = unsafe { rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxDontNeed) };
}

/// Has the allocator give back what it does not need.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) changes nothing that is in use.
    let _ = unsafe { libc::malloc_trim(0) };
}
