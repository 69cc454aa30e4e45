//! Too much of everything: what is told of it, what the server pays for it, and who else notices.

use crate::scripts::{plan, script, writes};
use product_tests::{LIMIT, Place, World, repository_of_attacks};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Most memory that a server of these tests may ever have: about twice what it has at rest, and a small part of what it
/// would have if it kept for each viewer what the viewer does not read.
const BOUND: u64 = 300 << 20;

/// Viewers that ask for everything and read nothing.
const VIEWERS: usize = 40;

/// Texts of the length of the longest that an event holds, one after another, and one that is far longer.
const FLOOD: &str = "
long=$(head -c 262144 /dev/zero | tr '\\0' x)
for n in $(seq 120); do words \"$n $long\"; done
words \"$(head -c 8388608 /dev/zero | tr '\\0' y)\"
echo done > /code/done.txt
";

/// Checks that take all they can get, and one that is fine.
const GREEDY: &str = "\
# Runbook: Floods

## Execution Steps

### Step 1: Write one
- `one.txt`

```runnable bash check name=output
cat /dev/zero
```

```runnable bash check name=lines
yes '' >&2
```

```runnable bash check name=memory
head -c 4G /dev/zero | tail -c 3G > /dev/null
```

```runnable bash check name=time timeout=1s
sleep 600
```

```runnable bash check name=disk
for n in 1 2 3 4 5 6 7 8 9; do head -c 40M /dev/zero > filler$n; done
```

```runnable bash check name=fine
test -f one.txt
```
";

/// The most memory that a process ever had: `VmHWM` of proc(5), in bytes.
fn peak(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Connects to the server and follows the first session from its start.
fn viewer(data: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(data.join("control.sock")).expect("the server listens");
    stream.write_all(b"{\"id\":1,\"follow\":{\"session\":1,\"after\":0}}\n").expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// Reads what a viewer was sent up to the event with this number.
fn read_up_to(viewer: UnixStream, last: i64) {
    let mut lines = BufReader::new(viewer).lines();
    let greeting = lines.next().expect("a greeting").expect("it comes");
    assert!(greeting.contains("runyard"), "{greeting}");
    for number in 1..=last {
        let line = lines.next().expect("the server is there").expect("it comes in time");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["event"]["number"], number, "a viewer that was slow missed something");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_read_nothing_cost_the_server_no_memory_while_an_agent_floods_them() {
    let place = Place::new();
    let repository = repository_of_attacks(&place, "repository", &[("flood", FLOOD)], &[]);
    let mut world = World::around(place, repository, &json!({ "conversations": [] }).to_string()).await;
    world.use_puppet();
    world.patient();
    world.environment.push(("RUNYARD_RETRY_TIMES".into(), "0".into()));
    let server = world.serve().await;
    world.run("attack flood", &["--json"]).ends().await.expect_code(3);
    let mut viewers: Vec<UnixStream> = (0..VIEWERS).map(|_| viewer(&world.data())).collect();
    // A line that has no end is refused, whoever reads the answer.
    let mut endless = UnixStream::connect(world.data().join("control.sock")).expect("the server listens");
    let line = tokio::task::spawn_blocking(move || endless.write_all(&vec![b'x'; 32 << 20]).map(|()| endless));

    world.runyard(["session", "execute", "1", "1", "--follow"]).await.expect_code(0);
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let texts: Vec<&str> = log.of("message").map(|event| event.text("text")).collect();
    let of = |letter| texts.iter().filter(|text| text.len() > 200_000 && text.contains(letter)).collect::<Vec<_>>();
    assert_eq!((of("xxxx").len(), of("yyyy").len()), (120, 1), "every text is on record");
    assert!(of("yyyy")[0].len() <= 256 << 10 && of("yyyy")[0].ends_with("bytes more)"), "it is cut, and says so");

    // Who read nothing until now has missed nothing, and nobody was waited for.
    let (late, last) = (viewers.pop().expect("a viewer"), log.iter().last().expect("an event").number());
    tokio::task::spawn_blocking(move || read_up_to(late, last)).await.expect("it sees everything");
    let peak = peak(server.id());
    assert!(peak < BOUND, "the server had {} MiB", peak >> 20);
    drop((viewers, line));
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_take_all_they_can_get_end_at_their_limits_with_the_reason_told() {
    let files = [("README.md", "# Files\n")];
    let mut world = World::new(&script(&[plan(GREEDY), writes("1", "Write one", "one.txt", "1\n")]), &files).await;
    world.patient();
    for (name, value) in [
        ("CHECKS_RETRIES", "0"),
        ("CHECKS_OUTPUT", "8MiB"),
        ("SANDBOX_LIMITS_MEMORY_VALUE", "1GiB"),
        ("SANDBOX_LIMITS_DISK_VALUE", "300MiB"),
    ] {
        world.environment.push((format!("RUNYARD_{name}"), value.into()));
    }
    let server = world.serve().await;
    world.run("Flood everything", &["--json"]).ends().await.expect_code(3);
    let run = world.runyard(["session", "execute", "1", "1", "--follow"]).await.expect_code(1);
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("1"), "failed(check)", "{}", log.outline());
    let killed = |name: &str| {
        let result = log.of("check_result").find(|event| event.text("name") == name);
        result.unwrap_or_else(|| panic!("no result of {name}\n{}", log.outline())).text("killed").to_owned()
    };
    let mut told = vec![("output", "output quota"), ("lines", "output quota"), ("time", "timed out after 1 s")];
    // An ordinary user's sandbox has neither a group nor a disk of its own where nothing was handed over to the user.
    if rustix::process::geteuid().is_root() {
        told.extend([("memory", "limit of memory"), ("disk", "limit of disk")]);
    }
    for (check, why) in told {
        assert!(killed(check).contains(why), "{check}: {:?}\n{}", killed(check), log.outline());
        assert!(run.said().contains(why), "{why} is not shown:\n{}", run.said());
    }
    assert_eq!(killed("fine"), "", "a neighbour of floods fails");
    // What a check wrote is on record up to its quota, and no more of it.
    let stored: u64 =
        log.of("output").filter_map(|event| Some(event.field("to").as_u64()? - event.field("from").as_u64()?)).sum();
    assert!((15 << 20..17 << 20).contains(&stored), "{stored} bytes");
    let peak = peak(server.id());
    assert!(peak < BOUND, "the server had {} MiB", peak >> 20);
    world.assert_foreseen();
    server.killed().await;
}
