//! Looking through what a session said: its log for words, its processes for what they wrote.

use crate::{EventFilter, OutputPart, Problem, ProblemCode, Reply, shared::Shared};
use domain::{ExecId, SessionNumber};

/// Events that are read at once while looking through a log.
const PAGE: i64 = 500;

/// Pages that are looked through for one question: whoever wants more asks on.
const PAGES: usize = 16;

/// Bytes of output that are given at once.
const MOST_OUTPUT: u64 = 256 * 1024;

/// Events above a number that match.
pub(super) async fn find(
    shared: &Shared,
    session: SessionNumber,
    after: i64,
    limit: i64,
    matching: &EventFilter,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let limit = usize::try_from(limit.clamp(1, PAGE)).unwrap_or(1);
    let matching = matching.prepared();
    let mut found = Vec::new();
    let mut reached = after.max(0);
    for _ in 0..PAGES {
        let page = shared.store.events(session.id, reached, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for event in page {
            reached = event.number;
            if matching.holds(&event.payload) {
                found.push(event);
            }
            if found.len() == limit {
                return Ok(Reply::Found { events: found, reached, more: reached < session.last_event });
            }
        }
    }
    Ok(Reply::Found { events: found, reached, more: reached < session.last_event })
}

/// A part of what a process of a session wrote.
pub(super) async fn output(
    shared: &Shared,
    session: SessionNumber,
    exec: ExecId,
    from: u64,
    most: u64,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let Some(row) = shared.store.exec(session.id, exec).await? else {
        return Err(Problem::new(ProblemCode::NotFound, format!("{} has no exec {exec}", session.number)));
    };
    let size = row.consumed;
    let from = from.min(size);
    let to = from.saturating_add(most.clamp(1, MOST_OUTPUT)).min(size);
    let mut bytes = Vec::new();
    for chunk in shared.store.output(exec, from, to).await? {
        let stored = shared.store.blob(chunk.blob).await?.ok_or_else(|| {
            Problem::new(ProblemCode::Internal, format!("the output {}..{} of {exec} is lost", chunk.from, chunk.to))
        })?;
        let within = |offset: u64| {
            let offset = usize::try_from(offset.saturating_sub(chunk.from)).unwrap_or(usize::MAX);
            offset.min(stored.len())
        };
        bytes.extend_from_slice(&stored[within(from)..within(to)]);
    }
    Ok(Reply::Output(OutputPart::of(&bytes, from, size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::House;
    use domain::{
        EventPayload, HostId, NoteLevel, Payload, Run, RunId, RunState, SandboxId, SandboxRecord, SandboxState, Usage,
    };
    use store::{ExecRow, Fence, OutputChunk, Store as _, Write};

    #[tokio::test]
    async fn a_log_is_looked_through_in_bounded_parts_until_its_end() {
        let house = House::new().await;
        let session = house.session(1).await;
        let shared = house.server("people").await;
        let note = |text: String| EventPayload::Note { level: NoteLevel::Info, text };
        for part in 0..20 {
            let many: Vec<_> = (0..500).map(|n| note(format!("Note {}", part * 500 + n))).collect();
            house.store.commit(session.id, Fence::Open, &[], &many, house.clock_now()).await.expect("committed");
        }
        let last = shared.session(session.number).await.expect("there").last_event;
        let matching = EventFilter { text: Some("NOTE 99".to_owned()), ..EventFilter::default() };
        let (mut after, mut asked, mut told) = (0, 0, Vec::new());
        loop {
            let reply = find(&shared, session.number, after, 500, &matching).await.expect("found");
            let Reply::Found { events, reached, more } = reply else { panic!("something else") };
            assert!(reached > after);
            asked += 1;
            told.extend(events.into_iter().map(|event| match event.payload {
                Payload::Known(EventPayload::Note { text, .. }) => text,
                other => panic!("{other:?}"),
            }));
            after = reached;
            if !more {
                break;
            }
        }
        assert_eq!((asked, after), (2, last));
        let wanted: Vec<_> = (0..10_000).map(|n| format!("Note {n}")).filter(|text| text.contains("Note 99")).collect();
        assert_eq!(told, wanted);
    }

    #[tokio::test]
    async fn what_a_process_wrote_is_given_in_parts_and_only_to_its_session() {
        let house = House::new().await;
        let session = house.session(1).await;
        let other = house.session(1).await;
        let shared = house.server("people").await;
        let exec = with_output(&house, &session, &["one\ntwo\n", "thr", "ee\nfour\n"]).await;
        let read = async |session, from, most| match output(&shared, session, exec, from, most).await {
            Ok(Reply::Output(part)) => Ok((part.from, part.to, part.size, part.text)),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => Err(problem.code),
        };
        let part = |from, to, text: &str| Ok((from, to, 19, text.to_owned()));
        assert_eq!(read(session.number, 0, 10).await, part(0, 8, "one\ntwo\n"));
        assert_eq!(read(session.number, 8, 1_000_000).await, part(8, 19, "three\nfour\n"));
        assert_eq!(read(session.number, 9, 3).await, part(9, 12, "hre"));
        assert_eq!(read(session.number, 400, 3).await, part(19, 19, ""));
        assert_eq!(read(other.number, 0, 10).await, Err(ProblemCode::NotFound));
    }

    /// A process of a session that wrote these pieces.
    async fn with_output(house: &House, session: &domain::Session, pieces: &[&str]) -> ExecId {
        let id = ExecId(uuid::Uuid::from_u128(77));
        let run = Run {
            id: RunId(uuid::Uuid::from_u128(79)),
            session: session.id,
            action: house.store.queue(session.id).await.expect("read")[0].id,
            step: None,
            state: RunState::Running,
            version: None,
            agent_session: session.agent_session,
            base: None,
            commit: None,
            message: None,
            usage: Usage::default(),
            started_at: house.clock_now(),
            finished_at: None,
        };
        let sandbox = SandboxRecord {
            id: SandboxId(uuid::Uuid::from_u128(78)),
            session: session.id,
            host: HostId(uuid::Uuid::from_u128(80)),
            state: SandboxState::Creating,
            base: session.base.clone(),
            provider: serde_json::Value::Null,
            created_at: house.clock_now(),
            used_at: house.clock_now(),
        };
        let row = ExecRow {
            id,
            run: run.id,
            sandbox: sandbox.id,
            purpose: "check".to_owned(),
            consumed: 0,
            ended: None,
            created_at: house.clock_now(),
        };
        let mut writes = vec![Write::AddRun(run), Write::PutSandbox(sandbox), Write::AddExec(row)];
        let mut from = 0;
        for piece in pieces {
            let blob = house.store.put_blob(piece.as_bytes()).await.expect("kept");
            let to = from + piece.len() as u64;
            writes.push(Write::Output(OutputChunk { exec: id, from, to, blob }));
            from = to;
        }
        writes.push(Write::ExecProgress { id, consumed: from, ended: None });
        house.store.commit(session.id, Fence::Open, &writes, &[], house.clock_now()).await.expect("committed");
        id
    }
}
