//! Who has a session's page open, and who is typing there. Nothing of it is on record.

use domain::{SessionNumber, UserId};
use futures::Stream;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// Whoever has not said for so long that they are typing has stopped.
const TYPING_LASTS: Duration = Duration::from_secs(6);

/// Somebody who looks at a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    pub person: UserId,
    pub name: String,
    pub typing: bool,
}

/// Who is where.
#[derive(Debug, Default)]
pub struct Presence {
    rooms: Mutex<HashMap<SessionNumber, Room>>,
}

#[derive(Debug)]
struct Room {
    /// Everybody by when they came.
    here: BTreeMap<UserId, Guest>,
    seen: watch::Sender<Vec<Present>>,
    /// How many look, also those that are nobody.
    looking: usize,
}

#[derive(Debug)]
struct Guest {
    name: String,
    /// Pages that they have open.
    pages: usize,
    /// Rises whenever they say that they are typing or not; odd while they are.
    typing: u64,
}

/// A page that is open; dropped when it is closed.
struct Visit {
    presence: Arc<Presence>,
    session: SessionNumber,
    person: Option<UserId>,
}

impl Presence {
    /// Who looks at a session: at once, and whenever that changes. Whoever follows this is seen there, too; a program,
    /// which is nobody, is not.
    pub fn follow(
        self: &Arc<Self>,
        session: SessionNumber,
        who: Option<(UserId, String)>,
    ) -> impl Stream<Item = Vec<Present>> + Send + use<> {
        let person = who.as_ref().map(|(person, _)| *person);
        let mut seen = self.enter(session, who);
        seen.mark_changed();
        let visit = Visit { presence: Arc::clone(self), session, person };
        futures::stream::unfold((seen, visit), |(mut seen, visit)| async move {
            seen.changed().await.ok()?;
            let present = seen.borrow_and_update().clone();
            Some((present, (seen, visit)))
        })
    }

    fn enter(&self, session: SessionNumber, who: Option<(UserId, String)>) -> watch::Receiver<Vec<Present>> {
        let mut rooms = self.rooms.lock();
        let empty = || Room { here: BTreeMap::new(), seen: watch::Sender::new(Vec::new()), looking: 0 };
        let room = rooms.entry(session).or_insert_with(empty);
        room.looking += 1;
        if let Some((person, name)) = who {
            room.here.entry(person).or_insert(Guest { name, pages: 0, typing: 0 }).pages += 1;
        }
        room.tell();
        room.seen.subscribe()
    }

    fn leave(&self, session: SessionNumber, person: Option<UserId>) {
        let mut rooms = self.rooms.lock();
        let Some(room) = rooms.get_mut(&session) else { return };
        if let Some(person) = person
            && let Some(guest) = room.here.get_mut(&person)
        {
            guest.pages -= 1;
            if guest.pages == 0 {
                room.here.remove(&person);
            }
        }
        room.looking -= 1;
        room.tell();
        if room.looking == 0 {
            rooms.remove(&session);
        }
    }

    /// Somebody who has the page open is typing, or is not any more.
    pub fn typing(self: &Arc<Self>, session: SessionNumber, person: UserId, typing: bool) {
        let Some(turn) = self.turn(session, person, typing) else { return };
        if typing {
            let presence = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(TYPING_LASTS).await;
                presence.stopped(session, person, turn);
            });
        }
    }

    fn turn(&self, session: SessionNumber, person: UserId, typing: bool) -> Option<u64> {
        let mut rooms = self.rooms.lock();
        let room = rooms.get_mut(&session)?;
        let guest = room.here.get_mut(&person)?;
        let odd = guest.typing % 2 == 1;
        guest.typing += if odd == typing { 2 } else { 1 };
        let turn = guest.typing;
        room.tell();
        Some(turn)
    }

    fn stopped(&self, session: SessionNumber, person: UserId, turn: u64) {
        let mut rooms = self.rooms.lock();
        let Some(room) = rooms.get_mut(&session) else { return };
        let Some(guest) = room.here.get_mut(&person).filter(|guest| guest.typing == turn) else { return };
        guest.typing += 1;
        room.tell();
    }
}

impl Room {
    fn tell(&self) {
        let present = self.here.iter().map(|(person, guest)| Present {
            person: *person,
            name: guest.name.clone(),
            typing: guest.typing % 2 == 1,
        });
        let present: Vec<_> = present.collect();
        self.seen.send_if_modified(|seen| {
            let changed = *seen != present;
            *seen = present;
            changed
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.presence.leave(self.session, self.person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use uuid::Uuid;

    const SESSION: SessionNumber = SessionNumber(1);

    fn person(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn told(present: &[Present]) -> String {
        let each = present.iter().map(|it| format!("{}{}", it.name, if it.typing { " types" } else { "" }));
        each.collect::<Vec<_>>().join(", ")
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_types_or_leaves_is_seen_by_the_others() {
        let presence = Arc::new(Presence::default());
        let mut ada = presence.follow(SESSION, Some((person(1), "Ada".to_owned()))).boxed();
        assert_eq!(told(&ada.next().await.expect("told")), "Ada");
        let grace = presence.follow(SESSION, Some((person(2), "Grace".to_owned()))).boxed();
        assert_eq!(told(&ada.next().await.expect("told")), "Ada, Grace");
        // A second page of the same person, and a program, change nothing.
        let (second, program) =
            (presence.follow(SESSION, Some((person(2), "Grace".to_owned()))), presence.follow(SESSION, None));
        presence.typing(SESSION, person(2), true);
        assert_eq!(told(&ada.next().await.expect("told")), "Ada, Grace types");
        drop(grace);
        presence.typing(SESSION, person(2), false);
        assert_eq!(told(&ada.next().await.expect("told")), "Ada, Grace");
        drop(second);
        assert_eq!(told(&ada.next().await.expect("told")), "Ada");
        drop((ada, program));
        assert!(presence.rooms.lock().is_empty(), "nothing is kept of those who left");
    }

    #[tokio::test(start_paused = true)]
    async fn typing_that_is_not_repeated_ends_by_itself() {
        let presence = Arc::new(Presence::default());
        let mut ada = presence.follow(SESSION, Some((person(1), "Ada".to_owned()))).boxed();
        ada.next().await.expect("told");
        let begun = tokio::time::Instant::now();
        presence.typing(SESSION, person(1), true);
        assert_eq!(told(&ada.next().await.expect("told")), "Ada types");
        tokio::time::sleep(TYPING_LASTS / 2).await;
        presence.typing(SESSION, person(1), true);
        assert_eq!(told(&ada.next().await.expect("told")), "Ada");
        assert_eq!(begun.elapsed(), TYPING_LASTS / 2 + TYPING_LASTS);
        // Whoever has no page open types nowhere.
        presence.typing(SESSION, person(3), true);
        presence.typing(SessionNumber(9), person(1), true);
        assert_eq!(presence.rooms.lock().len(), 1);
    }
}
