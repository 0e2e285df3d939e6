//! One step of a TTL walk: what came back for a packet that was to live so long; and what the steps of
//! a walk say together.
//!
//! The reading is careful with silence. Routers need not send ICMP, and send little of it; a packet can
//! be lost; the packets of one walk can take several ways. So nothing is concluded from one `Nothing`
//! alone, and what the steps do not prove is `CannotTell`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Icmp;

/// What a walk sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// The SYN of a new connection.
    Syn,
    /// The first bytes of the handshake, on a connection that was made without a limit.
    Hello,
}

/// A packet with a short life, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// How many routers it may pass, and one more.
    pub ttl: u8,
    /// What it was.
    pub sent: Sent,
    /// What came back.
    pub came: Came,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// ICMP time exceeded; its sender is the hop, where the kernel tells it (for a SYN it does). On a
    /// connection the kernel tells only that an ICMP error came: with a TTL that reaches the far end it
    /// is another one.
    Expired(Option<Icmp>),
    /// Another ICMP error: the hop refuses.
    Rejected(Icmp),
    /// A reset.
    Reset,
    /// An answer of the far end, or of whoever speaks for it.
    Answered,
    /// The far end closed.
    Closed,
    /// Nothing in the time that a hop is given.
    Nothing,
    /// Nothing left this host.
    NotSent,
}

/// How far the far end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distance {
    /// It is farther than this many hops: a packet died there.
    pub beyond: u8,
    /// The smallest TTL that was answered.
    pub within: u8,
}

impl Distance {
    /// The number of hops, where nothing is left open.
    pub fn exact(self) -> Option<u8> {
        (self.beyond.checked_add(1) == Some(self.within)).then_some(self.within)
    }
}

/// A piece of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last hop that still lets the packet pass as far as itself; 0 is this host.
    pub after: u8,
    /// The address of that hop, where it said so. A router lets a packet die before its rules see it,
    /// so it may be this one's rules that stop what lives longer.
    pub router: Option<IpAddr>,
    /// The hop at which it is stopped at the latest, where that is known.
    pub before: Option<u8>,
}

/// Who stops what a walk sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopper {
    /// Nobody: it was answered.
    Nobody,
    /// Whoever signed the ICMP error.
    Named(Icmp),
    /// Somebody before the far end: it is stopped where the far end is still farther away.
    OnTheWay(Place),
    /// The far end, or the last router before it: this does not tell them apart.
    FarEnd(Place),
    /// It dies in silence somewhere behind that place; the far end may be the one that is silent.
    Silence(Place),
    /// The hops do not tell.
    CannotTell,
}

/// How far the far end is, by the SYNs of a walk; where there are none, by its hellos. None where
/// nothing was answered, or where packets died behind the place of an answer: then the ways differ.
pub fn distance(hops: &[Hop]) -> Option<Distance> {
    [Sent::Syn, Sent::Hello].into_iter().find_map(|sent| {
        let within = smallest(hops, sent, |came| came == Came::Answered)?;
        let beyond = largest(hops, sent, is_expiry).unwrap_or(0);
        (beyond < within).then_some(Distance { beyond, within })
    })
}

/// The smallest TTL at which this was refused: by a reset, an end without an answer, or an ICMP error.
pub fn refusal(hops: &[Hop], sent: Sent) -> Option<Hop> {
    let refused = |hop: &&Hop| hop.sent == sent && is_refusal(hop.came);
    hops.iter().filter(refused).min_by_key(|hop| hop.ttl).copied()
}

/// The farthest router in which this died of age: as far as there it passed, whatever else was silent.
/// None where not one is known. Its address is that of the SYN that died at the same distance.
pub fn last_router(hops: &[Hop], sent: Sent) -> Option<(u8, Option<IpAddr>)> {
    // Beyond an end there are no routers: an ICMP error there is another one.
    let end = smallest(hops, sent, |came| came == Came::Answered || is_refusal(came));
    let known = distance(hops).map(|distance| distance.within);
    let passed = hops.iter().filter(|hop| hop.sent == sent && is_expiry(hop.came));
    let ttl = passed
        .map(|hop| hop.ttl)
        .filter(|ttl| [end, known].into_iter().flatten().all(|end| *ttl < end))
        .max()?;
    Some((ttl, router(hops, ttl)))
}

/// Who stops what was sent. `far` is how far the far end is known to be, by another walk that was
/// answered; without it the walk's own SYNs are asked.
pub fn stopper(hops: &[Hop], sent: Sent, far: Option<Distance>) -> Stopper {
    let far =
        far.or_else(|| distance(hops).filter(|_| hops.iter().any(|hop| hop.sent == Sent::Syn)));
    let answered = smallest(hops, sent, |came| came == Came::Answered);
    match (answered, refusal(hops, sent)) {
        (Some(_), None) => Stopper::Nobody,
        // Both: the packets did not all go the same way, or somebody changed his mind.
        (Some(_), Some(_)) => Stopper::CannotTell,
        (None, Some(Hop { came: Came::Rejected(icmp), .. })) => Stopper::Named(icmp),
        (None, Some(refused)) => of_refusal(hops, refused, far),
        (None, None) => of_silence(hops, sent, far),
    }
}

fn of_refusal(hops: &[Hop], refused: Hop, far: Option<Distance>) -> Stopper {
    let before = refused.ttl;
    let died_later = largest(hops, refused.sent, is_expiry).is_some_and(|ttl| ttl >= before);
    let Some(far) = far.filter(|_| !died_later) else { return Stopper::CannotTell };
    // As far as `after` it was not refused, be it that it died there or that nobody said a word.
    let tried = hops.iter().filter(|hop| hop.sent == refused.sent && hop.ttl < before);
    let after = tried
        .filter(|hop| is_expiry(hop.came) || hop.came == Came::Nothing)
        .map(|hop| hop.ttl)
        .max()
        .unwrap_or(0);
    let place = Place { after, router: router(hops, after), before: Some(before) };
    if before <= far.beyond {
        Stopper::OnTheWay(place)
    } else if far.exact() == Some(before) {
        Stopper::FarEnd(place)
    } else {
        Stopper::CannotTell
    }
}

fn of_silence(hops: &[Hop], sent: Sent, far: Option<Distance>) -> Stopper {
    if !hops.iter().any(|hop| hop.sent == sent && hop.came == Came::Nothing) {
        return Stopper::CannotTell;
    }
    let (after, router) = last_router(hops, sent).unwrap_or((0, None));
    // Silence proves something only where another packet, sent as far, was heard of.
    let heard = |ttl: u8| {
        let died = hops.iter().any(|hop| hop.sent != sent && hop.ttl == ttl && is_expiry(hop.came));
        died || far.is_some_and(|far| far.within <= ttl)
    };
    let before = hops
        .iter()
        .filter(|hop| hop.sent == sent && hop.came == Came::Nothing && hop.ttl > after)
        .map(|hop| hop.ttl)
        .filter(|ttl| heard(*ttl))
        .min()
        .map(|ttl| far.map_or(ttl, |far| ttl.min(far.within)));
    let place = Place { after, router, before };
    match (before, far) {
        (Some(before), Some(far)) if before <= far.beyond => Stopper::OnTheWay(place),
        (Some(before), Some(far)) if before == after.saturating_add(1) && before == far.within => {
            Stopper::FarEnd(place)
        }
        _ => Stopper::Silence(place),
    }
}

fn is_expiry(came: Came) -> bool {
    matches!(came, Came::Expired(_))
}

fn is_refusal(came: Came) -> bool {
    matches!(came, Came::Reset | Came::Closed | Came::Rejected(_))
}

/// The address of the router at a distance.
fn router(hops: &[Hop], ttl: u8) -> Option<IpAddr> {
    hops.iter().filter(|hop| hop.ttl == ttl).find_map(|hop| match hop.came {
        Came::Expired(Some(icmp)) => Some(icmp.offender),
        _ => None,
    })
}

fn smallest(hops: &[Hop], sent: Sent, is: impl Fn(Came) -> bool) -> Option<u8> {
    hops.iter().filter(|hop| hop.sent == sent && is(hop.came)).map(|hop| hop.ttl).min()
}

fn largest(hops: &[Hop], sent: Sent, is: impl Fn(Came) -> bool) -> Option<u8> {
    hops.iter().filter(|hop| hop.sent == sent && is(hop.came)).map(|hop| hop.ttl).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The router at a distance: 10.0.0.n.
    fn address(ttl: u8) -> IpAddr {
        [10, 0, 0, ttl].into()
    }

    fn icmp(kind: u8, code: u8, ttl: u8) -> Icmp {
        Icmp { kind, code, offender: address(ttl), own: false }
    }

    /// A letter for each TTL from 1 on: e(xpired), x (expired, nobody named), r(eset), p(rohibited), a(nswered),
    /// c(losed), - (nothing), and a blank where nothing was sent.
    fn walk(sent: Sent, letters: &str) -> Vec<Hop> {
        let came = |ttl, letter| match letter {
            'e' => Some(Came::Expired(Some(icmp(11, 0, ttl)))),
            'x' => Some(Came::Expired(None)),
            'r' => Some(Came::Reset),
            'p' => Some(Came::Rejected(icmp(3, 13, ttl - 1))),
            'a' => Some(Came::Answered),
            'c' => Some(Came::Closed),
            '-' => Some(Came::Nothing),
            _ => None,
        };
        let steps = (1..).zip(letters.chars());
        steps
            .filter_map(|(ttl, letter)| Some(Hop { ttl, sent, came: came(ttl, letter)? }))
            .collect()
    }

    fn syns(letters: &str) -> Vec<Hop> {
        walk(Sent::Syn, letters)
    }

    /// SYNs and hellos of one walk.
    fn both(syns: &str, hellos: &str) -> Vec<Hop> {
        [walk(Sent::Syn, syns), walk(Sent::Hello, hellos)].concat()
    }

    fn far(beyond: u8, within: u8) -> Distance {
        Distance { beyond, within }
    }

    fn place(after: u8, before: Option<u8>) -> Place {
        Place { after, router: (after > 0).then(|| address(after)), before }
    }

    #[test]
    fn the_far_end_is_where_the_first_answer_is() {
        let rows = [
            ("eeea", Some(far(3, 4)), Some(4)),
            ("a", Some(far(0, 1)), Some(1)),
            // More than one SYN was on its way before the first answer.
            ("eeeaaa", Some(far(3, 4)), Some(4)),
            // A loss between two expiries is none of the far end's.
            ("e-ea", Some(far(3, 4)), Some(4)),
            // The last router is silent, or the first SYN that got there was lost.
            ("ee-a", Some(far(2, 4)), None),
            ("---a", Some(far(0, 4)), None),
            // A silent end, and one that is not reached.
            ("ee--", None, None),
            ("eeee", None, None),
            ("", None, None),
            // Ways of several lengths.
            ("eeaea", None, None),
        ];
        for (letters, expected, exact) in rows {
            let found = distance(&syns(letters));
            assert_eq!((found, found.and_then(Distance::exact)), (expected, exact), "{letters}");
        }
        assert_eq!(distance(&walk(Sent::Hello, "xxxa")), Some(far(3, 4)));
        assert_eq!(distance(&both("eee", "xxxa")), Some(far(3, 4)));
    }

    #[test]
    fn the_last_router_that_lives_is_named() {
        let found = |letters| last_router(&syns(letters), Sent::Syn);
        assert_eq!(found("ee---"), Some((2, Some(address(2)))));
        assert_eq!(found("e-e--"), Some((3, Some(address(3)))));
        assert_eq!(found("-----"), None);
        assert_eq!(found("eer"), Some((2, Some(address(2)))));
        // The kernel names nobody for a hello; the SYN of the same distance does.
        let hops = both("eeea", "xx--");
        assert_eq!(last_router(&hops, Sent::Hello), Some((2, Some(address(2)))));
        // Where the far end is, nothing dies of age: that ICMP error was another.
        assert_eq!(last_router(&both("eeea", "   x"), Sent::Hello), None);
    }

    #[test]
    fn who_stops_a_syn() {
        let four = Some(far(3, 4));
        let rows = [
            ("eeea", None, Stopper::Nobody),
            ("eep", None, Stopper::Named(icmp(3, 13, 2))),
            // A reset nearer than the far end is another's; at the same distance it may be its own.
            ("eer", four, Stopper::OnTheWay(place(2, Some(3)))),
            ("r", four, Stopper::OnTheWay(place(0, Some(1)))),
            ("eeer", four, Stopper::FarEnd(place(3, Some(4)))),
            ("eeerrr", four, Stopper::FarEnd(place(3, Some(4)))),
            // Without the distance, or farther than it, or where it is not exact, nobody is accused.
            ("eer", None, Stopper::CannotTell),
            ("eeeer", four, Stopper::CannotTell),
            ("eer", Some(far(2, 4)), Stopper::CannotTell),
            ("eeer", Some(far(2, 4)), Stopper::CannotTell),
            ("eer", Some(far(4, 9)), Stopper::OnTheWay(place(2, Some(3)))),
            // Ways of several lengths, and a refusal that is not for all.
            ("eere", four, Stopper::CannotTell),
            ("eera", None, Stopper::CannotTell),
            // Silence: behind the last router that lives, unless it is a loss.
            ("ee---", None, Stopper::Silence(place(2, None))),
            ("e-e--", None, Stopper::Silence(place(3, None))),
            ("ee--", four, Stopper::Silence(place(2, Some(4)))),
            ("eee-", four, Stopper::FarEnd(place(3, Some(4)))),
            ("-----", None, Stopper::Silence(place(0, None))),
            ("eeee", None, Stopper::CannotTell),
            ("", four, Stopper::CannotTell),
        ];
        for (letters, far, expected) in rows {
            assert_eq!(stopper(&syns(letters), Sent::Syn, far), expected, "{letters} {far:?}");
        }
    }

    #[test]
    fn who_stops_a_hello() {
        let rows = [
            ("eeea", "xxxa", Stopper::Nobody),
            ("eeea", "xxrr", Stopper::OnTheWay(place(2, Some(3)))),
            ("eeea", "xxcc", Stopper::OnTheWay(place(2, Some(3)))),
            ("eeea", "xxxr", Stopper::FarEnd(place(3, Some(4)))),
            // The second router never says a word; the reset came no nearer than 3.
            ("e-ea", "x-r", Stopper::OnTheWay(Place { router: None, ..place(2, Some(3)) })),
            // Dropped: a SYN of the same length was heard of.
            ("eeea", "xx--", Stopper::OnTheWay(place(2, Some(3)))),
            ("eeea", "xxx-", Stopper::FarEnd(place(3, Some(4)))),
            // The third router never says a word: what the hello's silence there means is not known.
            ("ee-ea", "xx---", Stopper::OnTheWay(place(2, Some(4)))),
            ("ee-a", "xx--", Stopper::Silence(place(2, Some(4)))),
            ("ee-a", "xx-     -", Stopper::Silence(place(2, Some(4)))),
            ("ee-", "xx-", Stopper::Silence(place(2, None))),
            // Nothing but ICMP errors, also where nothing dies of age.
            ("eeea", "xxxx", Stopper::CannotTell),
            ("ee", "   r", Stopper::CannotTell),
        ];
        for (syns, hellos, expected) in rows {
            let hops = both(syns, hellos);
            assert_eq!(stopper(&hops, Sent::Hello, None), expected, "{syns} {hellos}");
        }
    }

    #[test]
    fn a_hello_that_is_answered_before_the_far_end_has_no_stopper_and_shows_by_its_distance() {
        let hops = both("eeea", "xaaa");
        assert_eq!(stopper(&hops, Sent::Hello, None), Stopper::Nobody);
        assert_eq!(distance(&hops), Some(far(3, 4)));
        assert_eq!(distance(&walk(Sent::Hello, "xaaa")), Some(far(1, 2)));
    }
}
