//! A request with a body, where a target asks for that: what lets a small GET pass may stop it (DLP). The same
//! request with a small body, in small segments and over the other routes tells what it is that is stopped.

use crate::cause::{Party, Status};
use crate::diagnosis::case::{Case, Found, Needed};
use crate::diagnosis::{Author, Held, TargetFacts, author};
use crate::observation::{Change, Control, Ending, Failure, HttpKind, Leg, Socket, Trip, Trust};

rules! { FACTS
    /// The target is tested with a larger body (`body_bytes`): it got no answer and bytes of it were never
    /// acknowledged or had to be sent again, and in small segments it is answered.
    MtuBlackhole lost_in_large_segments,

    /// A larger body (`body_bytes`) is refused by somebody else than the API, cut or not answered, twice, where a GET
    /// is answered. The proxy's or the inspecting device's where it made the answer, or the same passes over
    /// another route; the edge's where that answers 403. Nobody's where bytes were lost, and where no other route
    /// passes.
    RequestFiltered filtered,

    /// The API or its edge answers 413 to the larger body that the target is tested with (`body_bytes`).
    ApiTooLarge too_large,
}

/// What became of a request with a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The provider answered, whatever it said.
    Answered(u16),
    /// It answered that this is too much.
    TooLarge,
    /// Somebody answered who should not.
    Refused(Author, u16),
    /// It was cut off without an answer.
    Cut,
    /// No answer came; what the kernel counted then.
    Silent(Option<Socket>),
    /// The request was not made, or its answer had begun.
    Nothing,
}

impl Fate {
    fn of(target: &TargetFacts, trip: &Trip) -> Self {
        match trip.ending() {
            Ending::Answered(_, response) => match author::of_trip(target, trip) {
                Some((_, author)) if author.is_provider() && response.status == 413 => {
                    Self::TooLarge
                }
                Some((_, author)) if author == Author::Edge && response.status == 403 => {
                    Self::Refused(author, response.status)
                }
                Some((_, author)) if author.is_provider() => Self::Answered(response.status),
                Some((_, author)) => Self::Refused(author, response.status),
                None => Self::Nothing,
            },
            Ending::Stopped(Leg { response: None, .. }, Failure::Http(failure)) => {
                match failure.kind {
                    HttpKind::Timeout => Self::Silent(failure.socket),
                    HttpKind::Closed | HttpKind::Reset | HttpKind::H2 | HttpKind::Truncated => {
                        Self::Cut
                    }
                    HttpKind::Stalled
                    | HttpKind::Malformed
                    | HttpKind::TooLarge
                    | HttpKind::Redirect
                    | HttpKind::Status4xx
                    | HttpKind::Status5xx
                    | HttpKind::UnexpectedBody
                    | HttpKind::Other => Self::Nothing,
                }
            }
            Ending::Stopped(..) | Ending::NoAddress | Ending::Arrived(_) => Self::Nothing,
        }
    }

    fn passed(self) -> bool {
        matches!(self, Self::Answered(_) | Self::TooLarge)
    }

    fn failed(self) -> bool {
        matches!(self, Self::Refused(..) | Self::Cut | Self::Silent(_))
    }

    /// Whether packets were lost, which no filter of requests does.
    fn lost(self) -> bool {
        let lost = |socket: Socket| socket.unacked > 0 || socket.total_retrans > 1;
        matches!(self, Self::Silent(Some(socket)) if lost(socket))
    }
}

/// Whether a request with a body was answered by whom it was for.
pub(in crate::diagnosis) fn passes(target: &TargetFacts, trip: &Trip) -> bool {
    Fate::of(target, trip).passed()
}

/// What is wrong with the bodies that this route does not let pass: those of any size, or the large ones.
pub(in crate::diagnosis) fn stopped(case: &Case<'_>) -> String {
    let small = fate(case, Change::LargerBody(0));
    if small.is_some_and(Fate::failed) {
        "any size".to_owned()
    } else {
        format!("{} bytes", case.target().further.body_bytes)
    }
}

/// What an experiment of this kind showed, where it was run.
fn fate(case: &Case<'_>, change: Change) -> Option<Fate> {
    let trip = case.outcome(change)?.result.as_ref().ok()?;
    Some(Fate::of(case.target(), trip))
}

/// The larger body over a route on which the ordinary request is answered as it should be.
fn larger<'a>(case: &Case<'a>) -> Result<Option<(&'a Trip, Fate)>, Needed> {
    let bytes = case.target().further.body_bytes;
    if bytes == 0 || case.symptom().is_some() || !case.answered_by_provider() {
        return Ok(None);
    }
    let seen = case.seen(Change::LargerBody(bytes))?;
    Ok(seen.trip().map(|trip| (trip, Fate::of(case.target(), trip))))
}

/// The same with a small body, and again in small segments.
fn beside(case: &Case<'_>) -> Result<(Option<Fate>, Option<Fate>), Needed> {
    let (small, again) =
        (Change::LargerBody(0), Change::ClampedBody(case.target().further.body_bytes));
    case.ask_for(&[small, again])?;
    Ok((fate(case, small), fate(case, again)))
}

fn too_large(case: &Case<'_>) -> Held {
    match larger(case)? {
        // The way is fine, and so is what the target is asked for otherwise.
        Some((_, Fate::TooLarge)) => Found::high().status(Status::Ok).yes(),
        Some(_) | None => Ok(None),
    }
}

fn lost_in_large_segments(case: &Case<'_>) -> Held {
    match larger(case)? {
        Some((_, fate)) if fate.lost() => {
            let (_, again) = beside(case)?;
            if !again.is_some_and(Fate::passed) {
                return Ok(None);
            }
            Found::medium().by(Control::ClampedSegments).yes()
        }
        Some(_) | None => Ok(None),
    }
}

fn filtered(case: &Case<'_>) -> Held {
    let Some((trip, fate)) = larger(case)?.filter(|(_, fate)| fate.failed()) else {
        return Ok(None);
    };
    let (small, again) = beside(case)?;
    // What passes the second time was no rule.
    if again.is_some_and(|again| again.passed() || again == Fate::Nothing) {
        return Ok(None);
    }
    let found = match fate {
        // A page that an unknown server has for every POST is about the path.
        Fate::Refused(author @ (Author::Unknown | Author::Edge), status) => {
            let same = |small| matches!(small, Fate::Refused(_, theirs) if theirs == status);
            if small.is_none_or(same) && author == Author::Unknown {
                return Ok(None);
            }
            match author {
                Author::Edge => Found::medium().party(Party::Edge),
                _ => compared(case, trip),
            }
        }
        Fate::Refused(..) if case.proxied() => Found::high().party(Party::Proxy),
        Fate::Refused(..) => Found::high().party(Party::Inspection),
        _ if fate.lost() || again.is_some_and(Fate::lost) => Found::undetermined(),
        _ => compared(case, trip),
    };
    let found =
        if again.is_none() { found.at_most(crate::diagnosis::Confidence::Medium) } else { found };
    let found = if found.by_route { found } else { found.by(Control::LargerBody) };
    found.yes()
}

/// Whose it is, by the other routes and by who can see inside.
fn compared(case: &Case<'_>, trip: &Trip) -> Found {
    let change = Change::LargerBody(case.target().further.body_bytes);
    let elsewhere = case.others().any(|other| fate(&other, change).is_some_and(Fate::passed));
    let trust = trip.leading().and_then(|leg| leg.chain.as_ref()).map(|chain| chain.trust());
    match trust {
        _ if elsewhere && case.proxied() => Found::high().party(Party::Proxy).by_other_route(),
        Some(Trust::System | Trust::Organisation) if elsewhere => Found::high().by_other_route(),
        // Nobody opened it, and something on this way alone counts its bytes.
        _ if elsewhere => Found::medium().by_other_route(),
        _ => Found::undetermined(),
    }
}
