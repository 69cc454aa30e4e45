//! A small model of lease, fence, intent and adoption: one session with two steps, worked on by servers that crash, are
//! paused for as long as one likes, and whose calls fail or succeed unheard.
//!
//! Time is not in it. A challenger may find a lease silent whenever its beat did not rise since it looked; that its
//! holder was alive all the same costs a pause from the budget of faults. So whatever is proven here does not rest on
//! how long anything takes.

mod acts;
mod planted;
mod properties;
mod state;

pub use acts::{Act, Call, Moved, Op, Put, Verdict};
pub use planted::Planted;
pub use properties::Protocol;
pub use state::{
    Action, ActionState, Change, Commit, Faults, Forge, Ghost, Lease, Owner, Point, Record, Run, RunState, STEPS,
    Sandbox, Server, State, StepState, Work,
};
