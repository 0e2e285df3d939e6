//! Who may send a login now, so that no account is ever locked by it: one that was rejected stays here
//! until it changes or a quarter of an hour has passed, and while nobody knows yet whether it is good,
//! one trip tries it and the others wait for what becomes of that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::observation::{Scheme, Ticket, Withheld};
use crate::plan::{Credential, Proxy};

/// How long a rejected login stays here.
const PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long an acceptance counts: within it trips do not wait for one another.
const FRESH: Duration = Duration::from_secs(30);
/// A rejection comes at once, what takes longer is the way behind the proxy: the next one tries it.
const NEXT: Duration = Duration::from_secs(2);
/// As long as that for a login that was accepted before.
const NEXT_KNOWN: Duration = Duration::from_secs(1);

/// Ends without a word that are taken for a rejection.
const CUT_OFF: u8 = 3;

/// A login at a proxy, as far as attempts are counted. Another secret is another login, also where two
/// routes have two for one account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    proxy: String,
    scheme: Scheme,
    name: String,
    secret: Fingerprint,
}

/// What changes when the secret does. It is kept in memory only, and printed nowhere.
type Fingerprint = [u8; 32];

/// All logins of this process.
#[derive(Default)]
pub(in crate::probe) struct Gate {
    doors: Mutex<BTreeMap<Account, Arc<Door>>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

#[derive(Default)]
struct Door {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Default)]
struct State {
    /// When it was accepted last.
    accepted: Option<Instant>,
    /// Whether it was accepted at all.
    known: bool,
    /// It was accepted before, and then rejected for one destination: the next rejection is final.
    doubted: bool,
    rejected: Option<Rejection>,
    /// Rejected for these destinations only, where others are let through with it.
    rejected_for: BTreeMap<String, Rejection>,
    /// How often in a row it was shown to somebody who then ended the connection.
    cut_off: u8,
    /// Attempts without an answer yet, and when the last of them began.
    in_flight: usize,
    last: Option<Instant>,
}

#[derive(Clone)]
struct Rejection {
    over: Instant,
    withheld: Withheld,
}

/// What a trip may do.
pub(super) enum Turn {
    /// Send it, and say what became of it.
    Go(Permit),
    /// Not yet.
    Not(Withheld),
}

/// The right to send a login once.
pub(super) struct Permit {
    door: Arc<Door>,
    destination: String,
}

impl Gate {
    /// Waits for a turn, at most half of what is left until the deadline.
    pub(super) async fn turn(
        &self,
        proxy: &Proxy,
        credential: &Credential,
        destination: &str,
        deadline: Instant,
    ) -> Turn {
        let door = self.door(proxy, credential);
        let begun = Instant::now();
        let patience = begun + deadline.saturating_duration_since(begun) / 2;
        loop {
            // Before the look, so that no change is missed.
            let changed = door.changed.notified();
            let until = {
                // Looking and beginning are one step: two who look at once do not both begin.
                let mut state = door.state();
                let until = match state.look(destination) {
                    Look::Not(withheld) => return Turn::Not(withheld),
                    Look::Go => begun,
                    Look::Wait(until) => until.min(patience),
                };
                if Instant::now() >= until {
                    state.begin();
                    break;
                }
                until
            };
            // Either way it looks again.
            timeout_at(until, changed).await.unwrap_or_default();
        }
        Turn::Go(Permit { door, destination: destination.to_owned() })
    }

    fn door(&self, proxy: &Proxy, credential: &Credential) -> Arc<Door> {
        let name = match credential {
            Credential::Password { name, domain, .. } => {
                format!("{}\\{name}", domain.as_deref().unwrap_or_default())
            }
            Credential::Ticket { principal, .. } => principal.clone(),
        };
        let (proxy, scheme) = (proxy.to_string(), credential.scheme());
        let account = Account { proxy, scheme, name, secret: fingerprint(credential) };
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        if !doors.contains_key(&account) {
            // Of secrets that were changed nothing needs to be remembered any more.
            doors.retain(|_, door| Arc::strong_count(door) > 1 || door.state().matters());
        }
        Arc::clone(doors.entry(account).or_default())
    }

    /// Takes over what another gate knows.
    pub(in crate::probe) fn remember(&self, old: &Self) {
        let old = old.doors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.doors.lock().unwrap_or_else(PoisonError::into_inner) = old;
    }
}

impl Door {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Look {
    Go,
    Not(Withheld),
    Wait(Instant),
}

impl State {
    fn look(&self, destination: &str) -> Look {
        let now = Instant::now();
        let stands = |rejection: &&Rejection| rejection.over > now;
        let here = self.rejected_for.get(destination);
        if let Some(rejection) = self.rejected.as_ref().or(here).filter(stands) {
            return Look::Not(rejection.withheld.clone());
        }
        let fresh = self.accepted.is_some_and(|accepted| now.duration_since(accepted) < FRESH);
        match self.last.filter(|_| self.in_flight > 0 && !fresh) {
            None => Look::Go,
            Some(last) if self.known => Look::Wait(last + NEXT_KNOWN),
            Some(last) => Look::Wait(last + NEXT),
        }
    }

    /// Whether a later trip would be let through otherwise than the first one.
    fn matters(&self) -> bool {
        let now = Instant::now();
        let mut rejections = self.rejected_for.values().chain(&self.rejected);
        let fresh = self.accepted.is_some_and(|accepted| now.duration_since(accepted) < PAUSE);
        fresh || rejections.any(|rejection| rejection.over > now)
    }

    fn begin(&mut self) {
        self.in_flight += 1;
        self.last = Some(Instant::now());
    }

    fn reject(&mut self, destination: &str, ticket: Option<Ticket>) -> Timestamp {
        let until = super::super::now() + PAUSE;
        let rejection =
            Rejection { over: Instant::now() + PAUSE, withheld: Withheld { until, ticket } };
        self.accepted = None;
        self.cut_off = 0;
        // Some proxies answer 407 where the account may not go there. The next trip tells.
        if self.known && !self.doubted {
            self.doubted = true;
            self.rejected_for.insert(destination.to_owned(), rejection);
        } else {
            // Whoever tries it again after the pause knows no more than the first one did.
            (self.known, self.doubted) = (false, false);
            self.rejected = Some(rejection);
        }
        until
    }
}

impl Permit {
    /// The proxy let it through, whatever it said then.
    pub(super) fn accepted(self) {
        let mut state = self.door.state();
        state.accepted = Some(Instant::now());
        state.known = true;
        state.doubted = false;
        state.cut_off = 0;
        state.rejected = None;
        state.rejected_for.remove(&self.destination);
    }

    /// It was shown, and the proxy ended the connection without a word. A login that was never accepted may
    /// have been counted as a wrong one all the same: when it may be sent again, if it is held back now.
    pub(super) fn cut_off(self) -> Option<Timestamp> {
        let mut state = self.door.state();
        state.cut_off = state.cut_off.saturating_add(1);
        (state.cut_off >= CUT_OFF && !state.known).then(|| state.reject(&self.destination, None))
    }

    /// The proxy rejected it, or the KDC did, in these words: when it may be sent again.
    pub(super) fn rejected(self, ticket: Option<Ticket>) -> Timestamp {
        self.door.state().reject(&self.destination, ticket)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.door.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.door.changed.notify_waiters();
    }
}

fn fingerprint(credential: &Credential) -> Fingerprint {
    let mut whole = Vec::new();
    match credential {
        Credential::Password { password, .. } => whole.extend(password.expose().as_bytes()),
        Credential::Ticket { keytab, cache, .. } => {
            for path in [keytab.as_deref(), cache.as_deref().map(std::path::Path::new)] {
                let Some(path) = path else { continue };
                whole.extend(path.as_os_str().as_encoded_bytes());
                let metadata = std::fs::metadata(path);
                let changed = metadata.and_then(|metadata| metadata.modified()).ok();
                whole.extend(format!("{changed:?}").into_bytes());
            }
        }
    }
    let mut out = Fingerprint::default();
    for (place, byte) in out.iter_mut().zip(digest(&SHA256, &whole).as_ref()) {
        *place = *byte;
    }
    whole.fill(0);
    out
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use url::Host;

    use super::*;
    use crate::config::Secret;
    use crate::observation::TicketKind;
    use crate::plan::Spoken;

    /// What a trip has left when it is asked for its login.
    const LEFT: Duration = Duration::from_secs(20);

    fn proxy(port: u16) -> Proxy {
        Proxy::new(Spoken::Http, Host::Domain("proxy.test".to_owned()), port)
    }

    fn login(scheme: Scheme, name: &str, password: &str) -> Credential {
        let (name, password) = (name.to_owned(), Secret::new(password.to_owned()));
        Credential::Password { scheme, name, domain: None, password }
    }

    async fn turn(gate: &Gate, password: &str, destination: &str) -> Turn {
        let login = login(Scheme::Basic, "svc", password);
        gate.turn(&proxy(3128), &login, destination, Instant::now() + LEFT).await
    }

    /// The turn of whoever need not wait.
    async fn now(gate: &Gate, password: &str, destination: &str) -> Turn {
        let begun = Instant::now();
        let turn = turn(gate, password, destination).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "{destination} waited");
        turn
    }

    async fn go(gate: &Gate, password: &str, destination: &str) -> Permit {
        match now(gate, password, destination).await {
            Turn::Go(permit) => permit,
            Turn::Not(withheld) => panic!("{destination}: {withheld:?}"),
        }
    }

    async fn is_withheld(gate: &Gate, password: &str, destination: &str) -> bool {
        matches!(now(gate, password, destination).await, Turn::Not(_))
    }

    /// How many tenths of a second somebody waited, and for what.
    async fn tenths(waiting: impl Future<Output = Turn>) -> (u128, Turn) {
        let begun = Instant::now();
        let turn = waiting.await;
        // Timers are of whole milliseconds, and late by one.
        (begun.elapsed().as_millis() / 100, turn)
    }

    #[tokio::test(start_paused = true)]
    async fn one_tries_and_the_others_are_withheld() {
        let gate = Gate::default();
        let first = go(&gate, "wrong", "a").await;
        let rejected = async {
            advance(Duration::from_millis(1500)).await;
            first.rejected(None)
        };
        let (second, third, until) = tokio::join!(
            biased;
            tenths(turn(&gate, "wrong", "a")),
            tenths(turn(&gate, "wrong", "b")),
            rejected,
        );
        for (waited, turn) in [second, third] {
            let Turn::Not(withheld) = turn else { panic!("sent again") };
            assert_eq!((waited, withheld), (15, Withheld { until, ticket: None }));
        }
        assert!(is_withheld(&gate, "wrong", "c").await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_goes_with_the_acceptance() {
        let gate = Gate::default();
        let first = go(&gate, "right", "a").await;
        let accepted = async {
            advance(Duration::from_millis(300)).await;
            first.accepted();
        };
        let (waited, ()) = tokio::join!(biased; tenths(turn(&gate, "right", "b")), accepted);
        assert!(matches!(waited, (3, Turn::Go(_))), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_is_known_one_follows_another() {
        let gate = Gate::default();
        let _first = go(&gate, "slow", "a").await;
        // What takes longer than a rejection is the way behind the proxy: the next one finds that out.
        let (second, third) = tokio::join!(
            biased;
            tenths(turn(&gate, "slow", "b")),
            tenths(turn(&gate, "slow", "c")),
        );
        assert_eq!((second.0, third.0), (20, 40));
        assert!(matches!((&second.1, &third.1), (Turn::Go(_), Turn::Go(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_half_of_what_is_left() {
        let gate = Gate::default();
        let _first = go(&gate, "slow", "a").await;
        let login = login(Scheme::Basic, "svc", "slow");
        let (proxy, deadline) = (proxy(3128), Instant::now() + Duration::from_secs(1));
        let waited = tenths(gate.turn(&proxy, &login, "b", deadline)).await;
        assert!(matches!(waited, (5, Turn::Go(_))), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_acceptance_nobody_waits_for_a_while() {
        let gate = Gate::default();
        go(&gate, "right", "a").await.accepted();
        let mut held = Vec::new();
        for destination in ["a", "b", "c"] {
            held.push(go(&gate, "right", destination).await);
        }
        // Later they do, one after the other, but not for long.
        advance(FRESH).await;
        held.push(go(&gate, "right", "d").await);
        let (second, third) = tokio::join!(
            biased;
            tenths(turn(&gate, "right", "e")),
            tenths(turn(&gate, "right", "f")),
        );
        assert_eq!((second.0, third.0), (10, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejection_after_an_acceptance_is_of_its_destination_until_the_second() {
        let gate = Gate::default();
        go(&gate, "right", "a").await.accepted();
        go(&gate, "right", "b").await.rejected(None);
        assert!(is_withheld(&gate, "right", "b").await);
        // Others are let through with it: then only that destination is closed.
        go(&gate, "right", "a").await.accepted();
        go(&gate, "right", "c").await.rejected(None);
        assert!(is_withheld(&gate, "right", "b").await && is_withheld(&gate, "right", "c").await);
        // A second one without that is about the login.
        go(&gate, "right", "a").await.rejected(None);
        for destination in ["a", "b", "c", "d"] {
            assert!(is_withheld(&gate, "right", destination).await, "{destination}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_login_is_another() {
        let gate = Gate::default();
        go(&gate, "wrong", "a").await.rejected(None);
        let deadline = Instant::now() + LEFT;
        for (port, scheme, name, password) in [
            (3128, Scheme::Basic, "svc", "right"),
            (3128, Scheme::Digest, "svc", "wrong"),
            (3128, Scheme::Basic, "other", "wrong"),
            (3129, Scheme::Basic, "svc", "wrong"),
        ] {
            let login = login(scheme, name, password);
            let turn = gate.turn(&proxy(port), &login, "a", deadline).await;
            assert!(matches!(turn, Turn::Go(_)), "{port} {scheme:?} {name}");
        }
        assert!(is_withheld(&gate, "wrong", "a").await);
    }

    #[tokio::test(start_paused = true)]
    async fn two_secrets_of_one_account_do_not_reset_each_other() {
        let gate = Gate::default();
        for _ in 0..3 {
            go(&gate, "right", "a").await.accepted();
            match now(&gate, "wrong", "a").await {
                Turn::Go(permit) => drop(permit.rejected(None)),
                Turn::Not(_) => {}
            }
            assert!(is_withheld(&gate, "wrong", "a").await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_it_is_tried_again_by_one() {
        let gate = Gate::default();
        go(&gate, "right", "a").await.accepted();
        for destination in ["a", "b"] {
            go(&gate, "right", destination).await.rejected(None);
        }
        advance(PAUSE.saturating_sub(Duration::from_secs(1))).await;
        assert!(is_withheld(&gate, "right", "c").await);
        advance(Duration::from_secs(1)).await;
        let _first = go(&gate, "right", "c").await;
        // That it was good once is no reason to hurry.
        let waited = tenths(turn(&gate, "right", "c")).await;
        assert!(matches!(waited, (20, Turn::Go(_))), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_back_keeps_nobody_waiting() {
        let gate = Gate::default();
        let first = go(&gate, "unknown", "a").await;
        let given_back = async { drop(first) };
        let (waited, ()) = tokio::join!(biased; tenths(turn(&gate, "unknown", "a")), given_back);
        assert!(matches!(waited, (0, Turn::Go(_))), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_kdc_said_is_said_again() {
        let gate = Gate::default();
        let ticket =
            Ticket { kind: TicketKind::WrongKey, detail: "old key".to_owned(), until: None };
        let until = go(&gate, "key", "a").await.rejected(Some(ticket.clone()));
        let Turn::Not(withheld) = now(&gate, "key", "b").await else { panic!("asked again") };
        assert_eq!(withheld, Withheld { until, ticket: Some(ticket) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_gate_takes_over_what_an_old_one_knows() {
        let (old, new) = (Gate::default(), Gate::default());
        go(&old, "wrong", "a").await.rejected(None);
        new.remember(&old);
        assert!(is_withheld(&new, "wrong", "a").await);
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_that_changed_are_forgotten() {
        let gate = Gate::default();
        for version in 0..100 {
            drop(go(&gate, &version.to_string(), "a").await);
        }
        assert_eq!(gate.doors.lock().unwrap().len(), 1);
        // But not while one of them is rejected, or good.
        go(&gate, "wrong", "a").await.rejected(None);
        go(&gate, "right", "a").await.accepted();
        drop(go(&gate, "new", "a").await);
        assert!(is_withheld(&gate, "wrong", "a").await);
        assert_eq!(gate.doors.lock().unwrap().len(), 3);
        advance(PAUSE).await;
        drop(go(&gate, "newer", "a").await);
        assert_eq!(gate.doors.lock().unwrap().len(), 1);
    }
}
