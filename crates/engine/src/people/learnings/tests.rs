use super::*;
use crate::{NewKnowledge, Reply, people::knowledge, testing::House};
use domain::User;
use std::sync::Arc;

async fn server() -> (House, Arc<Shared>) {
    let house = House::new().await;
    let shared = house.server("people").await;
    (house, shared)
}

fn said(pattern: &str, solution: &str) -> Learning {
    Learning {
        pattern: pattern.to_owned(),
        solution: solution.to_owned(),
        applies_to: Vec::new(),
        repositories: Vec::new(),
        state: LearningState::Active,
    }
}

async fn add(shared: &Shared, user: &User, learning: Learning) -> Result<Knowledge, Problem> {
    let new = NewKnowledge { piece: Piece::Learning(learning), own: false };
    match knowledge::add(shared, user, new).await? {
        Reply::Piece(known) => Ok(*known),
        other => panic!("{other:?}"),
    }
}

async fn found(shared: &Shared, filter: LearningFilter) -> Vec<String> {
    let found = find(shared, &LearningFilter { limit: 50, ..filter }).await.expect("looks");
    found.lines.iter().map(|line| line.known.piece.title().to_owned()).collect()
}

#[tokio::test]
async fn they_are_found_by_words_repository_and_state_a_part_at_a_time() {
    let (_house, shared) = server().await;
    let ada = shared.owner.clone();
    let mut pytest = said("The suite is slow", "Run it in parallel");
    pytest.applies_to = vec![" pytest ".to_owned(), "pytest".to_owned(), "tests/*.py".to_owned()];
    let mut elsewhere = said("Tests need a database", "Run make db before tests, tests and tests");
    elsewhere.repositories = vec!["shop".to_owned()];
    let off = Learning { state: LearningState::Off, ..said("The certificate of the tests is old", "Nothing") };
    for learning in [pytest, elsewhere, off] {
        add(&shared, &ada, learning).await.expect("adds");
    }
    let search = |words: &str| LearningFilter { search: Some(words.to_owned()), ..LearningFilter::default() };
    assert_eq!(found(&shared, search("PYTEST")).await, ["The suite is slow"]);
    assert_eq!(found(&shared, search("tests/*.py")).await, ["The suite is slow"], "a file");
    assert_eq!(found(&shared, search("data")).await, ["Tests need a database"], "the beginning of a word");
    assert_eq!(found(&shared, search("tests")).await[0], "Tests need a database", "the one that fits best comes first");
    assert_eq!(found(&shared, search("tests zebra")).await, Vec::<String>::new(), "every word");
    let filter = LearningFilter { repository: Some("api".to_owned()), ..LearningFilter::default() };
    assert_eq!(found(&shared, filter).await.len(), 2);
    let filter = LearningFilter { state: Some(LearningState::Off), ..LearningFilter::default() };
    assert_eq!(found(&shared, filter).await, ["The certificate of the tests is old"]);
    let part = find(&shared, &LearningFilter { skip: 1, limit: 1, ..LearningFilter::default() }).await.expect("looks");
    assert_eq!((part.lines.len(), part.found, part.proposed), (1, 3, 0));
    let long = find(&shared, &search(&"x".repeat(1_001))).await.expect_err("refused");
    assert!(long.message.contains("1000 bytes"), "{long}");
}

#[tokio::test]
async fn what_is_there_already_or_too_much_is_refused_with_what_to_do() {
    let (_house, shared) = server().await;
    let ada = shared.owner.clone();
    let first = add(&shared, &ada, said(" The tests hang ", "Start\u{202e} the\r\ndatabase ")).await.expect("adds");
    let Piece::Learning(kept) = &first.piece else { panic!("{first:?}") };
    assert_eq!((kept.pattern.as_str(), kept.solution.as_str()), ("The tests hang", "Start the\ndatabase"));
    let same = add(&shared, &ada, said("the tests: HANG", "start the database")).await.expect_err("refused");
    assert!(same.message.contains("says the same: The tests hang"), "{same}");
    let other = add(&shared, &ada, said("The tests fail", "Start the database")).await.expect("adds");
    let piece = Piece::Learning(said("the tests hang", "start the database"));
    let same = knowledge::change(&shared, &ada, other.id, 1, false, piece).await.expect_err("refused");
    assert!(same.message.contains("says the same"), "{same}");
    let piece = Piece::Learning(said("The tests fail", "Start it"));
    knowledge::change(&shared, &ada, other.id, 1, false, piece.clone()).await.expect("changes");
    let late = knowledge::change(&shared, &ada, other.id, 1, false, piece).await.expect_err("refused");
    assert_eq!(late.current_version, Some(2), "{late}");

    let many = vec!["x".to_owned(), "y".to_owned()];
    let wrong = [
        (said("", "x"), "the pattern has to have 1 to 300"),
        (said("a\u{200b}b", "x"), "visible"),
        (said("x", "\u{202e}"), "the solution has to have 1 to 1500"),
        (said("x", &"y".repeat(1_501)), "the solution has to have 1 to 1500"),
        (Learning { applies_to: (0..9).map(|n| n.to_string()).collect(), ..said("x", "x") }, "8 things"),
        (Learning { repositories: (0..51).map(|n| n.to_string()).collect(), ..said("x", "x") }, "50 repositories"),
        (Learning { applies_to: [many, vec!["z".repeat(81)]].concat(), ..said("x", "x") }, "1 to 80"),
    ];
    for (learning, told) in wrong {
        let refused = add(&shared, &ada, learning.clone()).await.expect_err("refused");
        assert!(refused.message.contains(told), "{learning:?}: {refused}");
    }
    let proposed = |n: usize| Learning { state: LearningState::Proposed, ..said(&format!("idea {n}"), "x") };
    for n in 0..MOST_PROPOSED {
        add(&shared, &ada, proposed(n)).await.expect("adds");
    }
    let refused = add(&shared, &ada, proposed(MOST_PROPOSED)).await.expect_err("refused");
    assert!(refused.message.contains("200 learnings wait for a person"), "{refused}");
    add(&shared, &ada, said("a decided one", "x")).await.expect("there is room for what is decided");
}
