//! The forge on real repositories, with every git that the machine has.

mod borrowed;
mod carry;
mod checkout;
mod diff;
mod generations;
mod import;
mod known_holes;
mod local_forge;
mod merge;
mod message;
mod mirror;
mod mutations;
mod push;
mod store_in_memory;
mod support;
mod tainted;
