//! `runyard config show`.

use crate::{
    cli::{ConfigCommand, JsonArg},
    config::{Config, render_json, render_text},
    exit::Exit,
    screen::Screen,
};

/// Prints every value and where it came from.
pub fn show(screen: &mut Screen, config: &Config, command: &ConfigCommand) -> Exit {
    match command {
        ConfigCommand::Show(JsonArg { json: true }) => screen.json(&render_json(config)),
        ConfigCommand::Show(JsonArg { json: false }) => screen.text(&render_text(config)),
    }
    Exit::Done
}
