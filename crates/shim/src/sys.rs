//! The few calls that no safe interface exists for.
//!
//! Every function checks its result and states why its use of `unsafe` is sound; nothing else in this crate is unsafe.
#![expect(unsafe_code, reason = "fork, descriptors by number and new system calls have no safe interface")]

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

/// Which side of a [`fork`] this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old process, and the new one's number.
    Parent(i32),
}

/// Splits this process in two.
///
/// Refused unless this process has a single thread: only then may the child go on with ordinary code, since no lock can
/// be held by a thread that is not there any more.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads must not fork"));
    }
    // SAFETY: there is no other thread, so the child's memory is consistent.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Leaves at once, without running destructors: what a forked child must do.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` touches no memory of this process.
    unsafe { libc::_exit(code) }
}

/// Takes over a descriptor that this process was started with.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl only looks the number up and fails when it is not open.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and by agreement with whoever started this process nobody else takes it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes `fd` also appear as number `to`, open across `exec`. What was `to` before is closed.
pub fn place(fd: &impl AsRawFd, to: RawFd) -> io::Result<()> {
    let from = fd.as_raw_fd();
    // SAFETY: both calls only change the table of descriptors; callers place only numbers that no `OwnedFd` holds, or
    // do so right before `exec`.
    let done = unsafe { if from == to { libc::fcntl(from, libc::F_SETFD, 0) } else { libc::dup2(from, to) } };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// Makes every descriptor from `first` on close at `exec`.
pub fn close_from_at_exec(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: takes numbers only. Callers own no descriptor in the range that they use afterwards.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives this process namespaces of its own.
pub fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: namespaces do not concern memory; the flags that do (files, memory) are not used here.
    if unsafe { libc::unshare(flags) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the detached mount `tree` show its files' owners as the user namespace `owners` maps them, read-only.
pub fn map_owners(tree: &OwnedFd, owners: &OwnedFd) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const RDONLY: u64 = 0x1;
    const IDMAP: u64 = 0x0010_0000;
    let userns_fd = u64::try_from(owners.as_raw_fd()).map_err(io::Error::other)?;
    let attr = MountAttr { set: RDONLY | IDMAP, clear: 0, propagation: 0, userns_fd };
    // SAFETY: the path is an empty C string and `attr` has the size that is passed; both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of a loop device that nobody uses at the moment; `control` is `/dev/loop-control` (loop(4)).
pub fn unused_loop(control: &OwnedFd) -> io::Result<i32> {
    const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
    // SAFETY: the call takes no further argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    if number == -1 { Err(io::Error::last_os_error()) } else { Ok(number) }
}

/// Puts the file `image` behind the loop device `device`, past the host's page cache, until the device's last user goes.
pub fn fill_loop(device: &OwnedFd, image: &OwnedFd) -> io::Result<()> {
    const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
    const AUTOCLEAR: u32 = 4;
    const DIRECT_IO: u32 = 16;
    /// `struct loop_config` of linux/loop.h with the `struct loop_info64` in it; what is not named stays 0.
    #[repr(C)]
    struct LoopConfig {
        fd: u32,
        block_size: u32,
        before: [u64; 5],
        more: [u32; 3],
        flags: u32,
        names: [u8; 160],
        after: [u64; 10],
    }
    let fd = u32::try_from(image.as_raw_fd()).map_err(io::Error::other)?;
    let config = LoopConfig {
        fd,
        block_size: 0,
        before: [0; 5],
        more: [0; 3],
        flags: AUTOCLEAR | DIRECT_IO,
        names: [0; 160],
        after: [0; 10],
    };
    // SAFETY: `config` has the layout that the call reads and outlives it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
