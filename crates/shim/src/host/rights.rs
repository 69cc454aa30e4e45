//! Giving up rights before bubblewrap starts.

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::io;

/// The highest capability number that is tried when dropping; Linux has 41 (capabilities(7)).
const LAST_CAPABILITY: u32 = 63;

/// Refuses orders that would leave bubblewrap with host uid 0, with which a sandbox can write the host's kernel settings
/// whatever uid it shows inside.
pub fn check(drop_to: Option<u32>) -> Result<(), String> {
    let root = rustix::process::geteuid().is_root() || rustix::process::getuid().is_root();
    match drop_to {
        Some(0) => Err("a sandbox must not have uid 0".to_owned()),
        None if root => Err("a launcher that is root must be told a uid to drop to".to_owned()),
        Some(_) if !root => Err("only root can drop to another uid".to_owned()),
        _ => Ok(()),
    }
}

/// Limits of each single process, whoever runs it.
pub fn limit() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A core dump would be written by the kernel, on the host's terms, with whatever was in memory.
    setrlimit(Resource::Core, none)?;
    let files = rustix::process::getrlimit(Resource::Nofile);
    let most = files.maximum.map_or(65_536, |most| most.min(65_536));
    setrlimit(Resource::Nofile, Rlimit { current: Some(most.min(16_384)), maximum: Some(most) })?;
    Ok(())
}

/// Becomes uid and gid `drop_to` without groups, if given; gives up all capabilities and the way to get any back.
pub fn give_up(drop_to: Option<u32>) -> io::Result<()> {
    if let Some(uid) = drop_to {
        drop_bounding_set()?;
        let (user, group) = (rustix::process::Uid::from_raw(uid), rustix::process::Gid::from_raw(uid));
        set_thread_groups(&[])?;
        set_thread_res_gid(Some(group), Some(group), Some(group))?;
        set_thread_res_uid(Some(user), Some(user), Some(user))?;
    }
    drop_capabilities()?;
    rustix::thread::set_no_new_privs(true)?;
    if rustix::process::geteuid().is_root() || rustix::process::getuid().is_root() {
        return Err(io::Error::other("this process still is root"));
    }
    Ok(())
}

/// Empties the set that limits what any later program could be given.
pub fn drop_bounding_set() -> io::Result<()> {
    for number in 0..=LAST_CAPABILITY {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The kernel knows no capability of that number.
            Err(rustix::io::Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Empties the effective, permitted, inheritable and ambient sets.
pub fn drop_capabilities() -> io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let empty = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: empty, permitted: empty, inheritable: empty })?;
    Ok(())
}
