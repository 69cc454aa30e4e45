use super::*;
use crate::{Person, testing::House};
use domain::{PersonaRole, Role};
use std::sync::Arc;

async fn server() -> (House, Arc<Shared>) {
    let house = House::new().await;
    let shared = house.server("people").await;
    (house, shared)
}

async fn person(shared: &Shared, name: &str) -> User {
    let person = Person { name: name.to_owned(), email: format!("{name}@example.org") };
    let (store, mint, account) = (shared.store.as_ref(), shared.mint.as_ref(), shared.account.id);
    crate::shared::ensure_user(store, mint, account, &person, Role::Member).await.expect("a person")
}

fn file(title: &str, text: &str) -> ContextFile {
    ContextFile { title: title.to_owned(), text: text.to_owned(), repositories: Vec::new(), priority: 0, enabled: true }
}

fn careful(name: &str) -> Piece {
    Piece::Persona(Persona {
        name: name.to_owned(),
        role: PersonaRole::Custom,
        instructions: "Be careful.".to_owned(),
        // Nobody makes another one the default.
        default: true,
    })
}

async fn added(shared: &Shared, user: &User, piece: Piece, own: bool) -> Knowledge {
    match add(shared, user, NewKnowledge { piece, own }).await.expect("adds") {
        Reply::Piece(known) => *known,
        other => panic!("{other:?}"),
    }
}

async fn names(shared: &Shared, user: &User, kind: KnowledgeKind) -> Vec<String> {
    let all = list(shared, user, kind).await.expect("lists");
    all.iter().map(|known| known.piece.title().to_owned()).collect()
}

#[tokio::test]
async fn a_context_file_without_a_title_has_its_first_heading() {
    let (_house, shared) = server().await;
    let ada = person(&shared, "ada").await;
    let text = "# Auth\n\nSee `src/a.py`.";
    let known = added(&shared, &ada, Piece::ContextFile(file(" ", text)), false).await;
    assert_eq!((known.piece.title(), known.version, known.author), ("Auth", 1, Some(ada.id)));
    let mut first = file("Style", "Be brief.");
    (first.priority, first.repositories) = (5, vec![" team/* ".to_owned(), "team/*".to_owned(), String::new()]);
    let known = added(&shared, &ada, Piece::ContextFile(first), false).await;
    let Piece::ContextFile(kept) = known.piece else { panic!("a context file") };
    assert_eq!(kept.repositories, ["team/*"]);
    assert_eq!(names(&shared, &ada, KnowledgeKind::ContextFile).await, ["Style", "Auth"]);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_what_to_do() {
    let (_house, shared) = server().await;
    let ada = person(&shared, "ada").await;
    let far = ContextFile { priority: 101, ..file("x", "x") };
    let wrong = [
        (Piece::ContextFile(file("", "no heading")), "no title"),
        (Piece::ContextFile(file("x", " \n")), "must not be empty"),
        (Piece::ContextFile(file("x", &"x".repeat(LONGEST_FILE + 1))), "the limit is 32768"),
        (Piece::ContextFile(file("a\u{202e}b", "x")), "visible"),
        (Piece::ContextFile(far), "not a priority"),
        (careful(""), "the name"),
        (careful("00000000-0000-0000-0000-000000000001"), "an id is no name"),
    ];
    for (piece, told) in wrong {
        let problem = add(&shared, &ada, NewKnowledge { piece, own: false }).await.expect_err(told);
        assert_eq!(problem.code, ProblemCode::BadRequest);
        assert!(problem.message.contains(told), "{told}: {problem}");
    }
    let own = NewKnowledge { piece: Piece::ContextFile(file("x", "x")), own: true };
    assert_eq!(add(&shared, &ada, own).await.expect_err("personas only").code, ProblemCode::BadRequest);
    for n in 0..MOST_OWN {
        added(&shared, &ada, careful(&format!("{n}")), true).await;
    }
    let more = add(&shared, &ada, NewKnowledge { piece: careful("more"), own: true }).await.expect_err("too many");
    assert_eq!(more.code, ProblemCode::Conflict);
}

#[tokio::test]
async fn who_did_not_see_the_newest_version_is_told_which_there_is() {
    let (_house, shared) = server().await;
    let (ada, bob) = (person(&shared, "ada").await, person(&shared, "bob").await);
    let known = added(&shared, &ada, Piece::ContextFile(file("Auth", "one")), false).await;
    let new = |text| Piece::ContextFile(file("Auth", text));
    change(&shared, &bob, known.id, 1, false, new("two")).await.expect("changes");
    let late = change(&shared, &ada, known.id, 1, false, new("three")).await.expect_err("stale");
    assert_eq!((late.code, late.current_version), (ProblemCode::Conflict, Some(2)));
    let late = remove(&shared, &ada, known.id, 1, false).await.expect_err("stale");
    assert_eq!((late.code, late.current_version), (ProblemCode::Conflict, Some(2)));
    let persona = change(&shared, &ada, known.id, 2, false, careful("x")).await.expect_err("another kind");
    assert_eq!(persona.code, ProblemCode::BadRequest);
    remove(&shared, &ada, known.id, 2, false).await.expect("removes");
    assert_eq!(names(&shared, &ada, KnowledgeKind::ContextFile).await, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_else_sees_names_changes_or_removes_somebodys_own_persona() {
    let (_house, shared) = server().await;
    let (ada, bob) = (person(&shared, "ada").await, person(&shared, "bob").await);
    let known = added(&shared, &ada, careful("Mine"), true).await;
    let defaults = ["Default Planner", "Default Developer"];
    assert_eq!(names(&shared, &bob, KnowledgeKind::Persona).await, defaults);
    assert_eq!(names(&shared, &ada, KnowledgeKind::Persona).await, ["Default Planner", "Default Developer", "Mine"]);
    assert_eq!(persona_named(&shared, &ada, "mine").await.expect("hers").id, known.id);
    for given in ["Mine".to_owned(), known.id.to_string()] {
        let problem = persona_named(&shared, &bob, &given).await.expect_err("not his");
        assert_eq!(problem.code, ProblemCode::NotFound);
    }
    for own in [true, false] {
        let problem = change(&shared, &bob, known.id, 1, own, careful("His")).await.expect_err("not his");
        assert_eq!(problem.code, ProblemCode::NotFound);
        let problem = remove(&shared, &bob, known.id, 1, own).await.expect_err("not his");
        assert_eq!(problem.code, ProblemCode::NotFound);
    }
    // That it is hers is what gives her the right to it: it does not count as one of all.
    assert!(change(&shared, &ada, known.id, 1, false, careful("Hers")).await.is_err());
    change(&shared, &ada, known.id, 1, true, careful("Hers")).await.expect("hers");
}

#[tokio::test]
async fn a_default_persona_is_changed_but_keeps_its_name_and_stays() {
    let (_house, shared) = server().await;
    let ada = person(&shared, "ada").await;
    let planner = list(&shared, &ada, KnowledgeKind::Persona).await.expect("lists").remove(0);
    let Piece::Persona(persona) = planner.piece.clone() else { panic!("a persona") };
    let said = |name: &str, instructions: &str| {
        Piece::Persona(Persona {
            name: name.to_owned(),
            instructions: instructions.to_owned(),
            default: false,
            ..persona.clone()
        })
    };
    assert_eq!(remove(&shared, &ada, planner.id, 0, false).await.expect_err("stays").code, ProblemCode::Conflict);
    assert!(change(&shared, &ada, planner.id, 0, false, said("Another", "x")).await.is_err());
    change(&shared, &ada, planner.id, 0, false, said(&persona.name, "Plan in rhymes.")).await.expect("changes");
    let again = change(&shared, &ada, planner.id, 0, false, said(&persona.name, "x")).await.expect_err("stale");
    assert_eq!((again.code, again.current_version), (ProblemCode::Conflict, Some(1)));
    let now = list(&shared, &ada, KnowledgeKind::Persona).await.expect("lists").remove(0);
    assert_eq!((now.id, now.version), (planner.id, 1));
    assert!(matches!(&now.piece, Piece::Persona(it) if it.default && it.instructions == "Plan in rhymes."));
    assert_eq!(remove(&shared, &ada, planner.id, 1, false).await.expect_err("stays").code, ProblemCode::Conflict);
}

#[tokio::test]
async fn a_session_is_given_another_persona_and_says_so() {
    let (house, shared) = server().await;
    let ada = person(&shared, "ada").await;
    let session = house.session(1).await;
    let known = added(&shared, &ada, careful("Mine"), true).await;
    switch(&shared, &ada, session.number, Some("Mine")).await.expect("switches");
    let session = shared.session(session.number).await.expect("there");
    let (persona, told) = of_session(&shared, &session).await.expect("reads");
    assert_eq!((persona.map(|known| known.id), told), (Some(known.id), vec![]));
    let events = shared.store.events(session.id, 0, 100).await.expect("reads");
    let said = |event: &domain::Event| matches!(&event.payload, domain::Payload::Known(EventPayload::Note { text, .. }) if text.contains("`Mine`"));
    assert_eq!(events.iter().filter(|event| said(event)).count(), 1);
    switch(&shared, &ada, session.number, None).await.expect("switches");
    let session = shared.session(session.number).await.expect("there");
    assert_eq!(session.extras.persona, None);
}
