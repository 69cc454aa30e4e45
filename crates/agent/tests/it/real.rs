//! The real Claude Code against a scripted model: the driver test list of the contract, D1 to D16 and R6.

mod approval;
mod faults;
mod hostile;
mod interruption;
mod rig;
mod sessions;
mod turns;
