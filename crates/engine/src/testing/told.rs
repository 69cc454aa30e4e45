//! What a run is told of what the team knows is chosen once: a server that takes over tells it the same.

use super::House;
use crate::{
    begin::{Start, begin},
    briefing,
    context::Context,
};
use agent::Phase;
use domain::{
    ContextFile, EventPayload, Knowledge, KnowledgeId, KnowledgeKind, KnowledgeRef, Payload, Piece, Session, SystemMint,
};
use std::time::Duration;
use store::{Fence, Library as _, Store as _, Write};

fn file(house: &House, text: &str, version: i64, id: KnowledgeId) -> Knowledge {
    Knowledge {
        id,
        account: house.account.id,
        owner: None,
        version,
        piece: Piece::ContextFile(ContextFile {
            title: "Auth".to_owned(),
            text: text.to_owned(),
            repositories: Vec::new(),
            priority: 0,
            enabled: true,
        }),
        author: None,
        created_at: house.clock_now(),
        changed_at: house.clock_now(),
        used: 0,
        used_at: None,
    }
}

async fn told(context: &Context) -> String {
    let mirror = context.mirror().await.expect("a mirror");
    context.shared.forge_fetch(context).await;
    briefing::of_run(context, &mirror, Phase::Execute).await.expect("told")
}

async fn begun(context: &Context) {
    let leaf = context.action.kind.step().expect("a step");
    let (agent_session, base) = (context.session.agent_session, context.session.base.clone());
    begin(context, Start { step: Some(leaf), agent_session, base, version: Some(1) }).await.expect("begun");
}

async fn events(house: &House, session: &Session) -> Vec<Vec<KnowledgeRef>> {
    let events = house.store.events(session.id, 0, i64::MAX).await.expect("read");
    let used = |event: domain::Event| match event.payload {
        Payload::Known(EventPayload::Knowledge { used, .. }) => Some(used),
        _ => None,
    };
    events.into_iter().filter_map(used).collect()
}

#[tokio::test]
async fn a_run_is_told_the_same_by_whoever_takes_it_over_and_counted_once() {
    let house = House::new().await;
    let id = KnowledgeId::new(&SystemMint);
    house.store.add_knowledge(&file(&house, "the first text", 1, id)).await.expect("added");
    let session = house.session(2).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    begun(&context).await;
    let first = told(&context).await;
    assert!(first.contains("the first text"), "{first}");

    house.store.change_knowledge(&file(&house, "the second text", 2, id), 1).await.expect("changed");
    house.expire(&session).await;
    let other = house.server("second").await;
    let (context, _signal) = house.claim(&other).await;
    context.set_run(house.runs(&session).await.remove(0));
    assert_eq!(told(&context).await, first);
    let counted = house.store.knowledge(house.account.id, KnowledgeKind::ContextFile).await.expect("read");
    assert_eq!((counted[0].used, events(&house, &session).await.len()), (1, 1));
}

#[tokio::test]
async fn people_are_told_of_news_only() {
    let house = House::new().await;
    let session = house.session(2).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    begun(&context).await;
    let alone = told(&context).await;
    assert!(alone.starts_with("# How you work\n"), "{alone}");
    assert_eq!(events(&house, &session).await, Vec::<Vec<KnowledgeRef>>::new(), "what Runyard comes with is no news");

    let known = file(&house, "text", 1, KnowledgeId::new(&SystemMint));
    house.store.add_knowledge(&known).await.expect("added");
    let chosen = [Write::Persona(Some(KnowledgeId::new(&SystemMint)))];
    house.store.commit(session.id, Fence::Open, &chosen, &[], house.clock_now()).await.expect("chosen");
    for expected in [1, 1] {
        house.clock.turn(Duration::from_secs(1));
        house.expire(&session).await;
        let server = house.server("next").await;
        let (context, _signal) = house.claim(&server).await;
        let run = domain::Run { id: domain::RunId::new(&SystemMint), ..house.runs(&session).await.remove(0) };
        context.set_run(run);
        told(&context).await;
        let events = events(&house, &session).await;
        assert_eq!(events.len(), expected, "the same again is no news");
        assert_eq!(events[0].last(), Some(&KnowledgeRef::from(&known)));
    }
    let gone = house.notes(&session).await.into_iter().filter(|note| note.contains("does not exist any more"));
    assert_eq!(gone.count(), 1);
}
