//! What happens at the points, with the feature `failpoints`.

use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

static ARMED: OnceLock<Armed> = OnceLock::new();

#[derive(Default)]
struct Armed {
    points: HashMap<String, Point>,
    trace: Option<File>,
}

#[derive(Default)]
struct Point {
    reached: AtomicU64,
    orders: Vec<Order>,
}

struct Order {
    action: Action,
    first: u64,
    last: u64,
}

enum Action {
    Kill,
    Exit,
    Stop,
    Sleep(Duration),
    Return(String),
}

/// Reads from the environment what is to happen where. Later calls change nothing.
pub fn arm() -> Result<(), String> {
    let text = |name| std::env::var(name).unwrap_or_default();
    let mut armed = Armed::default();
    let wanted = text("RUNYARD_FAILPOINTS");
    for point in wanted.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        let (name, action) = point.split_once('=').ok_or_else(|| format!("`{point}` is not NAME=ACTION"))?;
        armed.points.entry(name.to_owned()).or_default().orders.push(order(action)?);
    }
    let trace = text("RUNYARD_FAILPOINTS_TRACE");
    if !trace.is_empty() {
        let file = OpenOptions::new().create(true).append(true).open(&trace);
        armed.trace = Some(file.map_err(|error| format!("{trace}: {error}"))?);
    }
    let _ = ARMED.set(armed);
    Ok(())
}

fn order(text: &str) -> Result<Order, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is not a count"));
    let (action, first, last) = match text.rsplit_once('@') {
        None => (text, 1, 1),
        Some((action, "*")) => (action, 1, u64::MAX),
        Some((action, times)) => match times.split_once('-') {
            Some((first, last)) => (action, number(first)?, number(last)?),
            None => (action, number(times)?, number(times)?),
        },
    };
    let argument = |name: &str| action.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
    let action = match action {
        "kill" => Action::Kill,
        "exit" => Action::Exit,
        "stop" => Action::Stop,
        _ if let Some(span) = argument("sleep") => Action::Sleep(Duration::from_millis(number(span)?)),
        _ if let Some(text) = argument("return") => Action::Return(text.to_owned()),
        _ => return Err(format!("`{action}` is not kill, exit, stop, sleep(MS) or return(TEXT)")),
    };
    Ok(Order { action, first, last })
}

/// Notes that a point was reached and does what is ordered for it. What it returns is the text of an error.
pub fn reach(name: &str) -> Option<String> {
    let armed = ARMED.get()?;
    if let Some(mut trace) = armed.trace.as_ref() {
        // One small write to a file that is open for appending is not torn by another one.
        let _ = trace.write_all(format!("{name}\n").as_bytes());
    }
    let point = armed.points.get(name)?;
    let now = point.reached.fetch_add(1, Ordering::SeqCst) + 1;
    let order = point.orders.iter().find(|order| (order.first..=order.last).contains(&now))?;
    match &order.action {
        Action::Kill => end_by(Signal::KILL),
        Action::Exit => std::process::exit(86),
        Action::Stop => {
            let _ = kill_process(getpid(), Signal::STOP);
            // The signal is delivered at the next chance, which may be a moment later and in another thread.
            std::thread::sleep(Duration::from_millis(50));
        }
        Action::Sleep(span) => std::thread::sleep(*span),
        Action::Return(text) => return Some(text.clone()),
    }
    None
}

fn end_by(signal: Signal) -> ! {
    let _ = kill_process(getpid(), signal);
    // Nothing may happen until it is delivered.
    loop {
        std::thread::park();
    }
}

/// Whether a defect was switched on. Needs no [`arm`], so that the tests of any room can be run with one.
pub fn is_planted(name: &str) -> bool {
    static PLANTED: OnceLock<String> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("RUNYARD_PLANTED").unwrap_or_default());
    planted.split(',').any(|planted| planted.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_for_the_times_that_it_names() {
        let times = |text: &str| {
            let order = order(text).expect("an order");
            (order.first, order.last)
        };
        assert_eq!(times("kill"), (1, 1));
        assert_eq!(times("stop@3"), (3, 3));
        assert_eq!(times("sleep(5)@2-4"), (2, 4));
        assert_eq!(times("return(no room)@*"), (1, u64::MAX));
        for wrong in ["die", "kill@x", "sleep(long)", "return", "kill@1-"] {
            assert!(order(wrong).is_err(), "{wrong}");
        }
    }
}
