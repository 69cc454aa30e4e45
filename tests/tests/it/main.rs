//! The product, tried from outside: `runyard` is started as a person starts it, the agent is the real Claude Code, and
//! only the model's words come from a script.

mod audit;
mod backups;
mod bad_input;
mod crash;
mod floods;
mod full_disk;
mod happy;
mod hostile_agents;
mod hostile_models;
mod hostile_repositories;
mod killed;
mod knowledge;
mod leaks;
mod learnings;
mod limits;
mod mended;
mod pages;
mod people;
mod plans;
#[path = "../../../crates/store/tests/it/postgres.rs"]
mod postgres;
mod provider;
mod publishing;
mod real_task;
mod scripts;
mod secrets;
mod steps;
mod stopped;
mod stops;
mod takeover;
mod trees;
mod users;
mod webhooks;
