//! The members of a replica set, and which of them immutable bytes are read from.

use std::{
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use mongodb::{
    ServerType,
    event::sdam::{SdamEvent, TopologyDescriptionChangedEvent},
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Error, Result};

/// How long one member may take before another is asked as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long secondaries are asked first after the primary did not answer within [`PATIENCE`]. By
/// its end the driver has noticed if the primary is gone.
const SUSPICION: Duration = Duration::from_secs(8);

/// A member that a command is sent to. In every deployment but a replica set, the whole of it is the
/// primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Primary,
    /// One that has the writes that a majority has acknowledged, but perhaps not the latest of them.
    Secondary,
}

impl Member {
    fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }

    /// Whether no other member could give a better answer. Only the primary knows that bytes are
    /// absent: a secondary may not have them yet.
    fn is_final<T>(self, answer: &Result<Option<T>>) -> bool {
        match answer {
            Ok(None) => self == Self::Primary,
            Err(Error::Unavailable(_)) => false,
            Ok(Some(_)) | Err(_) => true,
        }
    }
}

/// What the driver has found out about the members, and how the primary has answered.
#[derive(Debug, Default)]
pub(super) struct Members(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_primary: bool,
    has_secondary: bool,
    suspect_until: Option<Instant>,
}

impl Members {
    /// Takes in what the driver has found out.
    pub(super) fn note(&self, event: &SdamEvent) {
        let SdamEvent::TopologyDescriptionChanged(event) = event else { return };
        let TopologyDescriptionChangedEvent { new_description, .. } = event.as_ref();
        let servers = new_description.servers();
        let has = |wanted| servers.values().any(|server| server.server_type() == wanted);
        let mut state = self.state();
        state.has_primary = has(ServerType::RsPrimary);
        state.has_secondary = has(ServerType::RsSecondary);
    }

    /// Reads bytes that never change once they are written, within `limit`: from the primary and, if
    /// it does not answer within [`PATIENCE`], from a secondary as well; from a secondary first while
    /// the primary is gone or was slow a moment ago. Normally that is one command.
    ///
    /// `read` reads from one member and may be dropped at any time.
    pub(super) async fn read<T, F>(
        &self,
        limit: Duration,
        read: impl Fn(Member) -> F,
    ) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let end = Instant::now() + limit;
        let member = self.first();
        let mut first = pin!(read(member));
        let early = timeout(PATIENCE, &mut first).await;
        match early {
            Ok(answer) if member.is_final(&answer) => return answer,
            _ if member == Member::Primary => self.suspect_primary(),
            _ => {}
        }
        let Some(other) = self.other(member) else {
            return match early {
                Ok(answer) => answer,
                Err(_) => first.await,
            };
        };
        let either = async {
            let second = pin!(read(other));
            let (answered, answer, pending) = match early {
                Ok(answer) => (member, answer, Either::Right(second)),
                Err(_) => match select(first, second).await {
                    Either::Left((answer, second)) => (member, answer, Either::Right(second)),
                    Either::Right((answer, first)) => (other, answer, Either::Left(first)),
                },
            };
            if answered.is_final(&answer) {
                return answer;
            }
            let last = pending.await;
            // Where neither is final, one is an error: the primary has no other such answer.
            if answered.other().is_final(&last) || last.is_err() { last } else { answer }
        };
        timeout_at(end, either).await.map_err(Error::unavailable)?
    }

    /// The member to ask first.
    fn first(&self) -> Member {
        let state = self.state();
        let is_slow = state.suspect_until.is_some_and(|until| Instant::now() < until);
        if state.has_secondary && (is_slow || !state.has_primary) {
            Member::Secondary
        } else {
            Member::Primary
        }
    }

    /// The member to ask besides `member`, if there is one.
    fn other(&self, member: Member) -> Option<Member> {
        (member == Member::Secondary || self.state().has_secondary).then(|| member.other())
    }

    fn suspect_primary(&self) {
        self.state().suspect_until = Some(Instant::now() + SUSPICION);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(4_500);

    /// A member that answers after so many milliseconds.
    type Answer = (u64, fn() -> Result<Option<&'static str>>);

    const FOUND: fn() -> Result<Option<&'static str>> = || Ok(Some("bytes"));
    const ABSENT: fn() -> Result<Option<&'static str>> = || Ok(None);
    const AWAY: fn() -> Result<Option<&'static str>> = || Err(Error::unavailable("away"));

    fn members(has_primary: bool, has_secondary: bool) -> Members {
        Members(Mutex::new(State { has_primary, has_secondary, suspect_until: None }))
    }

    /// Reads, and tells which members were asked in which order, and how long it took.
    async fn read(
        members: &Members,
        primary: Answer,
        secondary: Answer,
    ) -> (Result<Option<&'static str>>, Vec<Member>, Duration) {
        let asked = RefCell::new(Vec::new());
        let begin = Instant::now();
        let answer = members.read(LIMIT, |member| {
            asked.borrow_mut().push(member);
            let (delay, answer) = if member == Member::Primary { primary } else { secondary };
            async move {
                sleep(Duration::from_millis(delay)).await;
                answer()
            }
        });
        let answer = answer.await;
        (answer, asked.into_inner(), begin.elapsed())
    }

    const NEVER: Answer = (1_000_000, FOUND);

    #[tokio::test(start_paused = true)]
    async fn a_primary_that_answers_is_the_only_one_that_is_asked() {
        for primary in [(2, FOUND), (2, ABSENT)] {
            let (answer, asked, _) = read(&members(true, true), primary, (2, FOUND)).await;
            assert_eq!(answer.expect("answers"), primary.1().expect("answers"));
            assert_eq!(asked, [Member::Primary]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_primary_that_does_not_answer_is_helped_out_and_then_asked_last_for_a_while() {
        let members = members(true, true);
        let (answer, asked, took) = read(&members, NEVER, (2, FOUND)).await;
        assert_eq!(answer.expect("answers"), Some("bytes"));
        assert_eq!(asked, [Member::Primary, Member::Secondary]);
        assert!(took < PATIENCE * 2, "{took:?}");

        let (answer, asked, took) = read(&members, NEVER, (2, FOUND)).await;
        assert_eq!(answer.expect("answers"), Some("bytes"));
        assert_eq!(asked, [Member::Secondary]);
        assert!(took < PATIENCE, "{took:?}");

        sleep(SUSPICION).await;
        let (_, asked, _) = read(&members, (2, FOUND), (2, FOUND)).await;
        assert_eq!(asked, [Member::Primary]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_secondary_lacks_is_found_at_the_primary() {
        for absent in [(2, ABSENT), (2, AWAY), (2_000, ABSENT), (2_000, AWAY)] {
            let members = members(true, true);
            members.suspect_primary();
            let (answer, asked, _) = read(&members, (2, FOUND), absent).await;
            assert_eq!(answer.expect("answers"), Some("bytes"));
            assert_eq!(asked, [Member::Secondary, Member::Primary]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_secondary_lacks_is_not_absent_while_the_primary_does_not_answer() {
        for primary in [NEVER, (2, AWAY), (2_000, AWAY)] {
            for secondary in [(2, ABSENT), (2_000, ABSENT)] {
                for members in [members(true, true), members(false, true)] {
                    let (answer, _, took) = read(&members, primary, secondary).await;
                    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
                    assert!(took <= LIMIT + Duration::from_millis(2), "{took:?}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn secondaries_are_asked_first_while_there_is_no_primary() {
        let (answer, asked, _) = read(&members(false, true), NEVER, (2, FOUND)).await;
        assert_eq!(answer.expect("answers"), Some("bytes"));
        assert_eq!(asked, [Member::Secondary]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_primary_without_secondaries_is_awaited() {
        let (answer, asked, _) = read(&members(true, false), (3_000, FOUND), NEVER).await;
        assert_eq!(answer.expect("answers"), Some("bytes"));
        assert_eq!(asked, [Member::Primary]);
    }
}
