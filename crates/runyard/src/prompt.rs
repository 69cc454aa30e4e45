//! Reads what a person answers.

use domain::{Answer, Choice, Question, Request, RequestKind};
use std::collections::BTreeMap;

/// A request that is being answered line by line.
#[derive(Debug)]
pub struct Prompt {
    /// The request.
    pub request: Request,
    given: Vec<String>,
}

/// What a line came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Fed {
    /// There is another question.
    More,
    /// This answers the request.
    Done(Answer),
    /// It is no answer; the words say why.
    Again(String),
}

impl Prompt {
    /// Begins to answer.
    pub fn new(request: Request) -> Self {
        Self { request, given: Vec::new() }
    }

    /// What stands before the cursor.
    pub fn words(&self) -> String {
        match &self.request.kind {
            RequestKind::Question { questions, .. } if questions.len() > 1 => {
                let at = self.given.len();
                let name = questions.get(at).map(|question| crate::render::one_line(&question.header, 40));
                format!("answer {} of {} {}> ", at + 1, questions.len(), name.unwrap_or_default())
            }
            RequestKind::Question { .. } => "answer> ".into(),
            RequestKind::Permission { .. } => "allow or deny> ".into(),
            RequestKind::Publish { .. } => "choose> ".into(),
        }
    }

    /// Takes in a line.
    pub fn feed(&mut self, line: &str) -> Fed {
        if line.trim().is_empty() {
            return Fed::Again("type a number or an answer, or Ctrl-C to stop".into());
        }
        self.given.push(line.trim().to_owned());
        let wanted = match &self.request.kind {
            RequestKind::Question { questions, .. } => questions.len(),
            _ => 1,
        };
        if self.given.len() < wanted {
            return Fed::More;
        }
        let given = std::mem::take(&mut self.given);
        match answer(&self.request.kind, &given) {
            Ok(answer) => Fed::Done(answer),
            Err(why) => Fed::Again(why),
        }
    }
}

/// The answer that words on the command line, or lines in the terminal, stand for; one for each question.
pub fn answer(kind: &RequestKind, words: &[String]) -> Result<Answer, String> {
    let answer = match kind {
        RequestKind::Question { questions, .. } => {
            if words.len() != questions.len() {
                return Err(format!(
                    "{} answers are wanted, one for each question; {} given",
                    questions.len(),
                    words.len()
                ));
            }
            let answers = questions
                .iter()
                .zip(words)
                .map(|(question, word)| Ok((question.question.clone(), to_question(question, word)?)))
                .collect::<Result<BTreeMap<_, _>, String>>()?;
            Answer::Answers { answers }
        }
        RequestKind::Permission { .. } => {
            let text = words.join(" ");
            let (verdict, reason) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
            match verdict.to_lowercase().as_str() {
                "allow" | "a" | "yes" | "y" if reason.is_empty() => Answer::Allow,
                "deny" | "d" | "no" | "n" => Answer::Deny { reason: reason.trim().to_owned() },
                _ => return Err("answer `allow`, or `deny` with a reason".into()),
            }
        }
        RequestKind::Publish { options } => {
            let option = chosen(options, words.join(" ").trim())?.unwrap_or_else(|| words.join(" ").trim().to_owned());
            Answer::Chosen { option }
        }
    };
    kind.accepts(&answer)?;
    Ok(answer)
}

fn to_question(question: &Question, word: &str) -> Result<String, String> {
    if question.multi_select
        && word.split(',').all(|part| chosen(&question.options, part.trim()).is_ok_and(|label| label.is_some()))
    {
        let labels: Vec<String> =
            word.split(',').filter_map(|part| chosen(&question.options, part.trim()).ok().flatten()).collect();
        return Ok(labels.join(", "));
    }
    Ok(chosen(&question.options, word)?.unwrap_or_else(|| word.to_owned()))
}

/// The label that a number or a label means; none for words of one's own.
fn chosen(options: &[Choice], word: &str) -> Result<Option<String>, String> {
    if let Some(choice) = options.iter().find(|choice| choice.label.eq_ignore_ascii_case(word)) {
        return Ok(Some(choice.label.clone()));
    }
    match word.parse::<usize>() {
        Ok(number) if !options.is_empty() && number <= 99 => match number.checked_sub(1).and_then(|at| options.get(at))
        {
            Some(choice) => Ok(Some(choice.label.clone())),
            None => Err(format!("there is no choice {number}: choose from 1 to {}", options.len())),
        },
        _ => Ok(None),
    }
}

/// What a person wants done with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanChoice {
    /// Execute everything.
    Execute,
    /// Execute the next step.
    Next,
    /// Change it in the editor.
    Edit,
    /// Leave it for later.
    Quit,
    /// Tell the agent what to change.
    Message(String),
}

/// The words of the menu below a plan.
pub const PLAN_MENU: &str = "[e]xecute all, [n]ext step only, e[d]it, [q]uit, or say what to change> ";

/// Reads a line of the menu; none when it is not clear what is meant.
pub fn plan_choice(line: &str) -> Option<PlanChoice> {
    match line.trim().to_lowercase().as_str() {
        "e" | "execute" | "y" | "yes" => Some(PlanChoice::Execute),
        "n" | "next" => Some(PlanChoice::Next),
        "d" | "edit" => Some(PlanChoice::Edit),
        "q" | "quit" => Some(PlanChoice::Quit),
        text if text.chars().count() < 4 => None,
        _ => Some(PlanChoice::Message(line.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn numbers_labels_and_own_words_answer_a_question() {
        let kind = fixtures::question();
        let said = |text: &str| match answer(&kind, &words(&[text])) {
            Ok(Answer::Answers { answers }) => answers["Which database?"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said("2"), "PostgreSQL");
        assert_eq!(said("sqlite"), "SQLite");
        assert_eq!(said("a file of my own"), "a file of my own");
        assert_eq!(answer(&kind, &words(&["3"])), Err("there is no choice 3: choose from 1 to 2".into()));
        assert!(answer(&kind, &words(&["1", "2"])).is_err());
    }

    #[test]
    fn several_may_be_chosen_where_that_is_offered() {
        let RequestKind::Question { mut questions, tool_use_id } = fixtures::question() else { panic!() };
        questions[0].multi_select = true;
        let kind = RequestKind::Question { questions, tool_use_id };
        let Ok(Answer::Answers { answers }) = answer(&kind, &words(&["1, 2"])) else { panic!() };
        assert_eq!(answers["Which database?"], "SQLite, PostgreSQL");
    }

    #[test]
    fn a_permission_is_given_in_one_clear_word() {
        let kind = fixtures::open_request().kind;
        assert_eq!(answer(&kind, &words(&["allow"])), Ok(Answer::Allow));
        assert_eq!(answer(&kind, &words(&["deny", "not", "now"])), Ok(Answer::Deny { reason: "not now".into() }));
        for text in ["", "allow if you must", "perhaps", "yes and no"] {
            assert!(answer(&kind, &words(&[text])).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_offered_can_be_published() {
        let option = |label: &str| Choice { label: label.into(), description: String::new() };
        let kind = RequestKind::Publish { options: vec![option("stacked_pr"), option("cancel")] };
        assert_eq!(answer(&kind, &words(&["2"])), Ok(Answer::Chosen { option: "cancel".into() }));
        assert!(answer(&kind, &words(&["burn it"])).is_err());
    }

    #[test]
    fn questions_are_asked_one_by_one() {
        let RequestKind::Question { questions, tool_use_id } = fixtures::question() else { panic!() };
        let mut second = questions[0].clone();
        second.question = "And the port?".into();
        second.options.clear();
        let kind = RequestKind::Question { questions: vec![questions[0].clone(), second], tool_use_id };
        let mut prompt = Prompt::new(Request { kind, ..fixtures::open_request() });
        assert!(matches!(prompt.feed(" "), Fed::Again(_)));
        assert_eq!(prompt.feed("1"), Fed::More);
        let Fed::Done(Answer::Answers { answers }) = prompt.feed("5432") else { panic!("not done") };
        assert_eq!((answers["Which database?"].as_str(), answers["And the port?"].as_str()), ("SQLite", "5432"));
    }

    #[test]
    fn a_slip_of_the_key_is_no_message_to_the_agent() {
        assert_eq!(plan_choice("E"), Some(PlanChoice::Execute));
        assert_eq!(plan_choice("x"), None);
        assert_eq!(plan_choice(""), None);
        assert_eq!(plan_choice("Split step 2"), Some(PlanChoice::Message("Split step 2".into())));
    }
}
