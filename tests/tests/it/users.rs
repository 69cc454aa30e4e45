//! People, from the command line: let in, given roles, helped with a lost password, sent away.

use crate::scripts::script;
use product_tests::{Finished, World};
use serde_json::{Value, json};
use std::time::Duration;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

async fn world() -> World {
    let mut world = World::new(&script(&[]), &FILES).await;
    world.environment.push(("RUNYARD_LISTEN".into(), "127.0.0.1:0".into()));
    world
}

/// The link that a command printed.
fn link(printed: &Finished) -> String {
    let line = printed.stdout.lines().find(|line| line.contains("/welcome/"));
    line.unwrap_or_else(|| panic!("no link: {}", printed.said())).to_owned()
}

/// Sends JSON to a server as its page does; the cookie, when somebody came in.
async fn post(url: &str, body: &Value) -> (u16, Option<String>) {
    let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().expect("a client");
    let request = http.post(url).header("origin", &origin).header("x-runyard", "1").json(body);
    let response = request.send().await.expect("an answer");
    let cookie = response.headers().get("set-cookie").and_then(|line| line.to_str().ok()).map(str::to_owned);
    (response.status().as_u16(), cookie)
}

/// Follows a link as the page does.
async fn welcome(link: &str, name: &str, password: &str) -> u16 {
    let body = json!({ "name": name, "password": password });
    post(&link.replace("/welcome/", "/auth/link/"), &body).await.0
}

async fn people(world: &World) -> Vec<(String, String, bool)> {
    let list = world.json(["user", "list", "--json"]).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let line = |one: &Value| {
        (text(&one["user"]["email"]), text(&one["user"]["role"]), one["active"].as_bool().expect("a flag"))
    };
    list.as_array().expect("a list").iter().map(line).filter(|(email, ..)| email.ends_with("@example.org")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_let_in_and_sent_away_from_the_command_line() {
    let world = world().await;
    let mut server = world.serve().await;
    server.says("listening at").await;
    let invited = world.runyard(["user", "invite", "ada@example.org", "--role", "admin"]).await.expect_code(0);
    let first = link(&invited);
    assert!(server.so_far().contains(first.split("/welcome/").next().expect("an address")), "the link leads here");
    assert_eq!(welcome(&first, "Ada", "correct horse battery").await, 204);
    assert_ne!(welcome(&first, "Eve", "correct horse battery").await, 204, "it works once");

    let second = world.json(["user", "invite", "bob@example.org", "--json"]).await;
    assert_eq!(welcome(second["url"].as_str().expect("a link"), "Bob", "another horse battery").await, 204);
    let as_invited =
        [("ada@example.org".into(), "admin".into(), true), ("bob@example.org".into(), "member".into(), true)];
    assert_eq!(people(&world).await, as_invited);
    let shown = world.runyard(["user", "list"]).await.expect_code(0);
    assert!(shown.stdout.lines().any(|line| line.starts_with("Ada") && line.contains("admin")), "{}", shown.said());
    let twice = world.runyard(["user", "invite", "BOB@example.org"]).await.expect_code(2);
    assert!(twice.stderr.contains("runyard user reset-password"), "{}", twice.said());

    world.runyard(["user", "role", "bob@example.org", "maintainer"]).await.expect_code(0);
    world.runyard(["user", "deactivate", "bob@example.org"]).await.expect_code(0);
    assert_eq!(people(&world).await[1], ("bob@example.org".into(), "maintainer".into(), false));
    let origin = first.split("/welcome/").next().expect("an address").to_owned();
    let sign_in = json!({ "email": "bob@example.org", "password": "another horse battery" });
    assert_eq!(post(&format!("{origin}/auth/sign-in"), &sign_in).await.0, 401, "whoever was sent away stays out");
    let refused = world.runyard(["user", "reset-password", "bob@example.org"]).await.expect_code(2);
    assert!(refused.stderr.contains("runyard user activate bob@example.org"), "{}", refused.said());

    world.runyard(["user", "activate", "bob@example.org"]).await.expect_code(0);
    let reset = world.runyard(["user", "reset-password", "bob@example.org"]).await.expect_code(0);
    assert_eq!(welcome(&link(&reset), "Bob", "a third horse battery").await, 204);
    assert_eq!(post(&format!("{origin}/auth/sign-in"), &sign_in).await.0, 401, "the old password is gone");
    let sign_in = json!({ "email": "bob@example.org", "password": "a third horse battery" });
    assert_eq!(post(&format!("{origin}/auth/sign-in"), &sign_in).await.0, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays_and_mistakes_are_told_in_words() {
    let world = world().await;
    let mut server = world.serve().await;
    server.says("listening at").await;
    let invited = world.runyard(["user", "invite", "ada@example.org", "--role", "admin"]).await.expect_code(0);
    assert_eq!(welcome(&link(&invited), "Ada", "correct horse battery").await, 204);
    for admin in world.json(["user", "list", "--json"]).await.as_array().expect("a list") {
        let email = admin["user"]["email"].as_str().expect("text");
        if email != "ada@example.org" && admin["user"]["role"] == "admin" {
            world.runyard(["user", "role", email, "member"]).await.expect_code(0);
        }
    }
    for act in [vec!["role", "ada@example.org", "member"], vec!["deactivate", "ada@example.org"]] {
        let refused = world.runyard([&["user"], act.as_slice()].concat()).await.expect_code(2);
        assert!(refused.stderr.contains("last admin"), "{}", refused.said());
    }
    assert_eq!(people(&world).await, [("ada@example.org".into(), "admin".into(), true)]);
    for (arguments, wanted) in [
        (["user", "activate", "eve@example.org"], "runyard user list"),
        (["user", "invite", "no address"], "give a mail address"),
        (["user", "reset-password", "eve\u{1b}[31m@example.org"], "runyard user list"),
    ] {
        let refused = world.runyard(arguments).await.expect_code(2);
        assert!(refused.stderr.contains(wanted) && !refused.stderr.contains('\u{1b}'), "{}", refused.said());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_made_without_a_server_works_with_the_next_one() {
    let mut world = world().await;
    let made = world.runyard(["user", "invite", "ada@example.org", "--role", "admin"]).await.expect_code(0);
    assert!(made.stderr.contains("runyard serve"), "{}", made.said());
    let value = link(&made).split("/welcome/").last().expect("a value").to_owned();
    world.environment.push(("RUNYARD_PUBLIC_URL".into(), "https://yard.example.org/".into()));
    let named = world.runyard(["user", "invite", "bob@example.org"]).await.expect_code(0);
    assert!(link(&named).starts_with("https://yard.example.org/welcome/"), "{}", named.said());
    world.environment.pop();

    let mut server = world.serve().await;
    server.says("listening at").await;
    let said = server.so_far();
    let url = said.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    assert_eq!(welcome(&format!("{url}welcome/{value}"), "Ada", "correct horse battery").await, 204);
}
