//! The filter of system calls that every exec runs under.
//!
//! It lists what is denied: programs of all kinds run here, and the namespaces, the missing capabilities and the unused
//! uid are what holds them. The filter takes away the kernel's large and young interfaces, the ways to new namespaces
//! and to other kinds of sockets.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch, apply_filter, sock_filter,
};
use std::collections::BTreeMap;

/// Answered with `EPERM` whatever the arguments.
const DENIED: &[i64] = &[
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Other processes' memory and descriptors.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Kernel interfaces with a history, or that no build needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// As [`DENIED`], on this processor only.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS_ustat];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// Answered with `ENOSYS`, upon which C libraries and runtimes take the older way.
const ABSENT: &[i64] = &[
    // Its flags lie in memory, where a filter cannot see them.
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_memfd_secret,
];

/// Terminal requests that put input into, or reach beyond, the terminal they are made on (ioctl_tty(2)).
const TERMINAL: [u64; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// The old way to raw frames (packet(7)), which `libc` does not name any more.
const SOCK_PACKET: i32 = 10;

const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Puts the filter on this thread and what it starts. It cannot be taken off.
pub fn install(allow_ptrace: bool) -> Result<(), seccompiler::Error> {
    apply_filter(&other_numberings())?;
    apply_filter(&program(absent(), libc::ENOSYS)?)?;
    apply_filter(&program(denied(allow_ptrace)?, libc::EPERM)?)
}

fn program(rules: BTreeMap<i64, Vec<Rule>>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)?.try_into()?)
}

/// Kills what calls by the x32 numbers (bit 30 set), which the rules, being by number, would not see. The programs of
/// `seccompiler` kill what calls by another architecture's.
fn other_numberings() -> BpfProgram {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const KILL_PROCESS: u32 = 0x8000_0000;
    const ALLOW: u32 = 0x7fff_0000;
    vec![
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: 0x4000_0000 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: KILL_PROCESS },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
    ]
}

fn absent() -> BTreeMap<i64, Vec<Rule>> {
    ABSENT.iter().map(|&call| (call, Vec::new())).collect()
}

fn denied(allow_ptrace: bool) -> Result<BTreeMap<i64, Vec<Rule>>, seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<Rule>> =
        DENIED.iter().chain(DENIED_HERE).map(|&call| (call, Vec::new())).collect();
    if !allow_ptrace {
        rules.insert(libc::SYS_ptrace, Vec::new());
    }
    let all = |conditions: Vec<Condition>| Ok::<_, seccompiler::Error>(Rule::new(conditions)?);
    let is = |arg, op, value: i32| Ok::<_, seccompiler::Error>(Condition::new(arg, Len::Dword, op, low(value))?);

    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let clone: Result<_, seccompiler::Error> =
        namespaces.iter().map(|&flag| all(vec![is(0, Op::MaskedEq(low(flag)), flag)?])).collect();
    rules.insert(libc::SYS_clone, clone?);

    let other_family = all(FAMILIES.iter().map(|&family| is(0, Op::Ne, family)).collect::<Result<_, _>>()?)?;
    // Of netlink only the kind that lists addresses: it changes nothing without a capability.
    let other_netlink = all(vec![is(0, Op::Eq, libc::AF_NETLINK)?, is(2, Op::Ne, libc::NETLINK_ROUTE)?])?;
    let raw = all(vec![is(1, Op::MaskedEq(0xf), libc::SOCK_RAW)?, is(0, Op::Ne, libc::AF_NETLINK)?])?;
    let packet = all(vec![is(1, Op::MaskedEq(0xf), SOCK_PACKET)?])?;
    rules.insert(libc::SYS_socket, vec![other_family, other_netlink, raw, packet]);

    rules.insert(libc::SYS_socketpair, vec![all(vec![is(0, Op::Ne, libc::AF_UNIX)?])?]);

    // Only the low half of the request counts for the kernel, so only it is compared.
    let terminal: Result<_, seccompiler::Error> =
        TERMINAL.iter().map(|&request| Ok(Rule::new(vec![Condition::new(1, Len::Dword, Op::Eq, request)?])?)).collect();
    rules.insert(libc::SYS_ioctl, terminal?);
    Ok(rules)
}

fn low(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}
