//! The personas that Runyard comes with, and which one a run has.

use agent::Phase;
use domain::{AccountId, Knowledge, KnowledgeId, Persona, PersonaRole, Piece, Timestamp};
use uuid::Uuid;

const PLANNER: &str = "Plan as an experienced engineer of this team would. Read the code that the request touches, and what calls it, before you decide anything. Choose the smallest change that does what is asked, in the style of the code around it. Name files and functions. Say what you are not sure of.";

const DEVELOPER: &str = "Work as an experienced engineer of this team would. Read before you write, and follow the style of the code around you. Change what the step asks for and nothing else. Run the repository's own tests for what you changed. Say plainly what does not work.";

/// The name and the role of the personas that are used when nobody chose another, and what they say as Runyard comes.
const DEFAULTS: [(&str, PersonaRole, &str); 2] =
    [("Default Planner", PersonaRole::Planner, PLANNER), ("Default Developer", PersonaRole::Developer, DEVELOPER)];

/// The instructions of a default persona as Runyard comes.
pub fn default_instructions(role: PersonaRole) -> Option<&'static str> {
    DEFAULTS.iter().find(|(_, of, _)| *of == role).map(|(.., text)| *text)
}

/// The default personas, which are not stored until somebody changes them, before those that are.
pub(crate) fn with_defaults(account: AccountId, stored: Vec<Knowledge>) -> Vec<Knowledge> {
    let mut all: Vec<Knowledge> = DEFAULTS
        .iter()
        .map(|(name, role, instructions)| Knowledge {
            // The same id for everybody who asks: two who change it at once cannot both add it.
            id: KnowledgeId(Uuid::new_v5(&account.0, name.as_bytes())),
            account,
            owner: None,
            version: 0,
            piece: Piece::Persona(Persona {
                name: (*name).to_owned(),
                role: *role,
                instructions: (*instructions).to_owned(),
                default: true,
            }),
            author: None,
            created_at: Timestamp(0),
            changed_at: Timestamp(0),
            used: 0,
            used_at: None,
        })
        .collect();
    for row in stored {
        match all.iter_mut().find(|known| known.id == row.id) {
            Some(known) => *known = row,
            None => all.push(row),
        }
    }
    all
}

/// The persona of a run: the one that was chosen when it is for this work, else the default one.
pub(crate) fn persona_for(
    all: &[Knowledge],
    chosen: Option<KnowledgeId>,
    phase: Phase,
) -> Option<(&Knowledge, &Persona)> {
    let wanted = match phase {
        Phase::Plan => PersonaRole::Planner,
        Phase::Execute => PersonaRole::Developer,
    };
    let each = || {
        all.iter().filter_map(|known| match &known.piece {
            Piece::Persona(persona) => Some((known, persona)),
            Piece::ContextFile(_) | Piece::Learning(_) => None,
        })
    };
    let fits = |role| role == wanted || role == PersonaRole::Custom;
    each()
        .find(|(known, persona)| Some(known.id) == chosen && fits(persona.role))
        .or_else(|| each().find(|(_, persona)| persona.default && persona.role == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(all: &[Knowledge], chosen: Option<KnowledgeId>, phase: Phase) -> &str {
        persona_for(all, chosen, phase).map(|(_, persona)| persona.name.as_str()).expect("there is always one")
    }

    #[test]
    fn who_chose_nothing_gets_the_default_of_the_phase_and_a_chosen_one_is_for_its_phase_only() {
        let account = AccountId(Uuid::from_u128(1));
        let template = with_defaults(account, Vec::new())[0].clone();
        let persona = |n, role| Knowledge {
            id: KnowledgeId(Uuid::from_u128(n)),
            piece: Piece::Persona(Persona { name: format!("{n}"), role, instructions: String::new(), default: false }),
            ..template.clone()
        };
        let stored =
            vec![persona(1, PersonaRole::Planner), persona(2, PersonaRole::Developer), persona(3, PersonaRole::Custom)];
        let ids = [1, 2, 3].map(|n| Some(KnowledgeId(Uuid::from_u128(n))));
        let all = with_defaults(account, stored);
        assert_eq!(all.len(), 5);
        assert_eq!(
            (named(&all, None, Phase::Plan), named(&all, None, Phase::Execute)),
            ("Default Planner", "Default Developer")
        );
        assert_eq!((named(&all, ids[0], Phase::Plan), named(&all, ids[0], Phase::Execute)), ("1", "Default Developer"));
        assert_eq!((named(&all, ids[1], Phase::Plan), named(&all, ids[1], Phase::Execute)), ("Default Planner", "2"));
        assert_eq!((named(&all, ids[2], Phase::Plan), named(&all, ids[2], Phase::Execute)), ("3", "3"));
        let gone = Some(KnowledgeId(Uuid::from_u128(9)));
        assert_eq!(named(&all, gone, Phase::Plan), "Default Planner");
    }

    #[test]
    fn a_default_that_somebody_changed_takes_the_place_of_the_one_that_runyard_comes_with() {
        let account = AccountId(Uuid::from_u128(1));
        let mut changed = with_defaults(account, Vec::new())[1].clone();
        changed.version = 1;
        let all = with_defaults(account, vec![changed.clone()]);
        assert_eq!((all.len(), &all[1]), (2, &changed));
    }
}
