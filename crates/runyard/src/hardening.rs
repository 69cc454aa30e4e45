//! What the process does for the secrets in its memory.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Other processes of the same user cannot look into this one's memory and environment, and it leaves no core file.
///
/// Programs that it starts are not shut in this way, but they leave no core file either.
pub fn shut_memory() {
    // Nothing can be done where the kernel refuses, and nothing is worse than before.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
