//! `runyard user`: what an admin does about people, for whoever has the server's machine.

use crate::{
    app::{App, Workers},
    cli::UserCommand,
    config::Listen,
    connect::Connection,
    exit::{Exit, Failure},
    render,
};
use domain::Role;
use serde::Serialize;
use server::{PeopleCommand, PeopleReply};

/// A link, for scripts.
#[derive(Serialize)]
struct LinkLine<'a> {
    email: &'a str,
    url: &'a str,
    expires_at: domain::Timestamp,
}

/// Lists and changes people.
pub async fn user(app: &mut App, command: UserCommand) -> Result<Exit, Failure> {
    let connection = Connection::open(app, Workers::Rest).await?;
    let (command, json) = match command {
        UserCommand::List(json) => (PeopleCommand::List, json.json),
        UserCommand::Invite { person, role, json } => {
            (PeopleCommand::Invite { email: person.email, role: role.into() }, json.json)
        }
        UserCommand::ResetPassword { person, json } => {
            (PeopleCommand::ResetPassword { email: person.email }, json.json)
        }
        UserCommand::Role { person, role } => {
            (PeopleCommand::SetRole { email: person.email, role: role.into() }, false)
        }
        UserCommand::Deactivate(person) => (PeopleCommand::SetActive { email: person.email, active: false }, false),
        UserCommand::Activate(person) => (PeopleCommand::SetActive { email: person.email, active: true }, false),
    };
    let answer = connection.client.people(command).await;
    connection.close().await;
    show(app, answer?, json);
    Ok(Exit::Done)
}

fn show(app: &mut App, answer: PeopleReply, json: bool) {
    match answer {
        PeopleReply::People(people) if json => app.screen.json(&people),
        PeopleReply::People(people) => app.screen.lines(render::people(&people)),
        PeopleReply::Person(member) => {
            let email = &member.user.email;
            app.screen.line(match (member.active, member.user.role) {
                (false, _) => format!("{email} was sent away; every sign-in and token of theirs has ended"),
                (true, Role::Member) => format!("{email} is a member"),
                (true, Role::Maintainer) => format!("{email} is a maintainer"),
                (true, Role::Admin) => format!("{email} is an admin"),
            });
        }
        PeopleReply::Link { email, path, base, expires_at } => {
            let url = format!("{}{path}", base.clone().unwrap_or_else(|| configured(app)));
            if json {
                app.screen.json(&LinkLine { email: &email, url: &url, expires_at });
                return;
            }
            app.screen.line(url.clone());
            let until = render::moment(expires_at, &app.zone);
            app.screen.note(&format!("hand this link to {email}: it works once, until {until}, and is shown only now"));
            if base.is_none() {
                app.screen.note("no server listens now; start one for the link to work: runyard serve");
            }
        }
    }
}

/// Where a server with this configuration would be reached.
fn configured(app: &App) -> String {
    let values = &app.config.values;
    match (&values.public_url, values.listen) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(Listen(address))) => format!("http://{address}"),
        (None, None) => "http://127.0.0.1:8480".to_owned(),
    }
}
