//! Keeping secrets out of swap and core files.

/// Rounds down to the page; pages are at least this large everywhere, and locking more than wanted does no harm.
const PAGE: usize = 4096;

/// Asks the kernel to keep the memory of `value` out of swap and of core files.
///
/// As far as the limit on locked memory allows (`RLIMIT_MEMLOCK`): a secret that cannot be locked is still wiped when it
/// is dropped. A page stays locked after that, since another secret may lie in it.
pub(crate) fn keep_in(value: &[u8]) {
    if value.is_empty() {
        return;
    }
    let from = value.as_ptr().addr() / PAGE * PAGE;
    let length = value.as_ptr().addr() + value.len() - from;
    let pages: *mut libc::c_void = value.as_ptr().with_addr(from).cast_mut().cast();
    #[expect(unsafe_code, reason = "mlock and madvise have no safe wrapper")]
    // SAFETY: the range covers the whole pages of a living slice of this process. Neither call changes what they hold,
    // and both fail without effect where something is not as they want it.
    unsafe {
        libc::mlock(pages, length);
        libc::madvise(pages, length, libc::MADV_DONTDUMP);
    }
}
