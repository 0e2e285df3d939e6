//! A request with a body, where a target asks for that: what lets a small GET pass may stop it (DLP). The same
//! request with a small body, in small segments and over the other routes tells what it is that is stopped.

use crate::cause::{Party, Status};
use crate::diagnosis::case::{Case, Found, Needed};
use crate::diagnosis::{Author, Held, TargetFacts, author};
use crate::observation::{Change, Control, Ending, Failure, HttpKind, Leg, Socket, Trip, Trust};

rules! { FACTS
    /// The target is tested with a larger body (`body_bytes`): twice it got no answer, and bytes of it were sent again
    /// and never acknowledged; in small segments it is answered in between.
    MtuBlackhole lost_in_large_segments,

    /// A larger body (`body_bytes`) is refused by another than the API, cut or not answered, twice, where a GET is
    /// answered. The proxy's or the inspecting device's by its answer or by another route; the edge's where that
    /// answers 403; else nobody's. No fault while bytes were acknowledged, nor where a server refuses a
    /// small one too.
    RequestFiltered filtered,

    /// The API or its edge answers 413 to the larger body that the target is tested with (`body_bytes`).
    ApiTooLarge too_large,
}

/// Bytes that are acknowledged where large segments pass: more than a handshake and a head of small ones have.
const PROGRESS: u64 = 16 * 1024;

/// Bytes that whoever takes them passes on at once. Of more than that, some may wait there for a slow link.
const AT_ONCE: u32 = 64 * 1024;

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
    Cut {
        /// By whoever ends TLS: nobody else can.
        by_peer: bool,
    },
    /// All of it was acknowledged, and no answer came.
    Silent,
    /// No answer came, and what was sent again was not acknowledged.
    Lost,
    /// The request was not made, was still on its way, or its answer had begun.
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
                    HttpKind::Timeout => Self::unanswered(failure.socket),
                    HttpKind::H2 => Self::Cut { by_peer: true },
                    HttpKind::Closed | HttpKind::Reset | HttpKind::Truncated => {
                        Self::Cut { by_peer: failure.notified }
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

    /// By what the kernel counted: data in flight is no loss, and what is acknowledged bit by bit is slow.
    fn unanswered(socket: Option<Socket>) -> Self {
        match socket {
            None => Self::Silent,
            Some(socket) if socket.unacked == 0 => Self::Silent,
            Some(socket) if socket.retrans > 0 && socket.bytes_acked < PROGRESS => Self::Lost,
            Some(_) => Self::Nothing,
        }
    }

    fn passed(self) -> bool {
        matches!(self, Self::Answered(_) | Self::TooLarge)
    }

    fn failed(self) -> bool {
        matches!(self, Self::Refused(..) | Self::Cut { .. } | Self::Silent | Self::Lost)
    }

    fn is_cut(self) -> bool {
        matches!(self, Self::Cut { .. })
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
    let Some((_, Fate::Lost)) = larger(case)? else { return Ok(None) };
    let (_, again) = beside(case)?;
    if !again.is_some_and(Fate::passed) {
        return Ok(None);
    }
    // An outage that ended in between looks the same, once.
    let change = Change::RepeatedBody(case.target().further.body_bytes);
    case.ask_for(&[change])?;
    if fate(case, change) == Some(Fate::Lost) {
        Found::medium().by(Control::ClampedSegments).yes()
    } else {
        Ok(None)
    }
}

fn filtered(case: &Case<'_>) -> Held {
    let Some((trip, fate)) = larger(case)?.filter(|(_, fate)| fate.failed()) else {
        return Ok(None);
    };
    let (small, again) = beside(case)?;
    // What passes the second time was no rule.
    if again.is_some_and(|again| again.passed() || again == Fate::Nothing)
        || is_the_servers(case, fate, (small, again))
    {
        return Ok(None);
    }
    let Some(again) = again else {
        // Seen once: it may have been an outage.
        return Found::undetermined().status(Status::Degraded).by(Control::LargerBody).yes();
    };
    let slow = case.target().further.body_bytes > AT_ONCE;
    let found = match fate {
        // Whose page that is, nobody can tell by it.
        Fate::Refused(Author::Unknown, _) => compared(case, trip, again),
        Fate::Refused(Author::Edge, _) => Found::medium().party(Party::Edge),
        Fate::Refused(..) if case.proxied() => Found::high().party(Party::Proxy),
        Fate::Refused(..) => Found::high().party(Party::Inspection),
        _ if fate == Fate::Lost || again == Fate::Lost => Found::undetermined(),
        _ if slow && (fate == Fate::Silent || again == Fate::Silent) => {
            Found::undetermined().status(Status::Degraded)
        }
        _ => compared(case, trip, again),
    };
    let found = if found.by_route { found } else { found.by(Control::LargerBody) };
    found.yes()
}

/// Whether it is what a server may do with such a request by itself.
fn is_the_servers(
    case: &Case<'_>,
    fate: Fate,
    (small, again): (Option<Fate>, Option<Fate>),
) -> bool {
    let target = case.target();
    match fate {
        // A page that a server has for every POST is about the path or the method.
        Fate::Refused(author, status) => {
            let same = |small| matches!(small, Fate::Refused(_, theirs) if theirs == status);
            let any_size = small.is_none_or(same);
            any_size && (author == Author::Unknown || !target.provider.owns(&target.host))
        }
        // Who refuses a request need not read all of it, and its refusal is lost with the connection (RFC 9112 9.6).
        _ if fate.is_cut() || again.is_some_and(Fate::is_cut) => {
            matches!(small, Some(Fate::Answered(400..=499) | Fate::TooLarge))
        }
        _ => false,
    }
}

/// Whose it is, by the other routes and by who can see inside.
fn compared(case: &Case<'_>, trip: &Trip, again: Fate) -> Found {
    let change = Change::LargerBody(case.target().further.body_bytes);
    let elsewhere = case.others().any(|other| fate(&other, change).is_some_and(Fate::passed));
    let trust = trip.leading().and_then(|leg| leg.chain.as_ref()).map(|chain| chain.trust());
    let by_peer = [Fate::of(case.target(), trip), again].contains(&Fate::Cut { by_peer: true });
    match trust {
        // The provider's own end of TLS said so itself.
        Some(Trust::Public) if by_peer => Found::undetermined(),
        _ if elsewhere && case.proxied() => Found::high().party(Party::Proxy).by_other_route(),
        Some(Trust::System | Trust::Organisation) if elsewhere => Found::high().by_other_route(),
        // Nobody opened it, and something on this way alone counts its bytes.
        _ if elsewhere => Found::medium().by_other_route(),
        _ => Found::undetermined(),
    }
}
