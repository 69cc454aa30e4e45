//! The product, tried from outside: `runyard` is started as a person starts it, the agent is the real Claude Code, and
//! only the model's words come from a script.

mod bad_input;
mod crash;
mod happy;
mod killed;
mod people;
mod plans;
mod real_task;
mod scripts;
mod steps;
mod stopped;
mod trees;
