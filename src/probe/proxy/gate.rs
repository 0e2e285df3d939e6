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
/// How long an acceptance counts: within it two trips may show the login at the same time.
const FRESH: Duration = Duration::from_secs(10);
/// Attempts without an answer at the same time at most.
const TRIES: usize = 2;
/// A directory that delays a rejection (`pam_faildelay(8)`: about two seconds) is done by then; what takes
/// longer is the way behind the proxy. Then the next one tries it.
const NEXT: Duration = Duration::from_secs(4);
/// As long as that for a login that was accepted before.
const NEXT_KNOWN: Duration = Duration::from_secs(1);

/// Attempts in a row without a verdict that are taken for a rejection, where the login was never accepted: a
/// directory may have counted them all the same.
const IN_VAIN: u8 = 3;

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
    /// How often in a row it was shown without a verdict.
    in_vain: u8,
    /// When each attempt that has no answer yet began, and the last of all.
    in_flight: Vec<Instant>,
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
    /// Others have shown it, and were not answered in this trip's time.
    Busy,
}

/// The right to send a login once.
pub(super) struct Permit {
    door: Arc<Door>,
    destination: String,
    begun: Instant,
    /// Whether it was shown, and nothing is known of what became of that.
    open: bool,
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
                match state.look(destination) {
                    Look::Not(withheld) => return Turn::Not(withheld),
                    Look::Go => {
                        let begun = state.begin();
                        drop(state);
                        let destination = destination.to_owned();
                        let door = Arc::clone(&door);
                        return Turn::Go(Permit { door, destination, begun, open: false });
                    }
                    Look::Wait(until) => until.min(patience),
                }
            };
            if Instant::now() >= patience {
                return Turn::Busy;
            }
            // Either way it looks again.
            timeout_at(until, changed).await.unwrap_or_default();
        }
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
        let (pause, tries) = match (self.known, fresh) {
            (true, true) => (NEXT_KNOWN, TRIES),
            (true, false) => (NEXT_KNOWN, 1),
            (false, _) => (NEXT, 1),
        };
        // Who waits longer than a rejection takes is waiting for something else.
        let young = || {
            let ends = self.in_flight.iter().map(|begun| *begun + pause);
            ends.filter(|until| *until > now)
        };
        match young().min() {
            Some(until) if young().count() >= tries => Look::Wait(until),
            // Of an unknown login no third one is shown before one of two is answered.
            None if !self.known && self.in_flight.len() >= TRIES => Look::Wait(now + NEXT),
            Some(_) | None => Look::Go,
        }
    }

    /// Whether a later trip would be let through otherwise than the first one.
    fn matters(&self) -> bool {
        let now = Instant::now();
        let mut rejections = self.rejected_for.values().chain(&self.rejected);
        let fresh = self.accepted.is_some_and(|accepted| now.duration_since(accepted) < PAUSE);
        let counted = self.in_vain > 0 && self.last.is_some_and(|last| now - last < PAUSE);
        fresh || counted || rejections.any(|rejection| rejection.over > now)
    }

    fn begin(&mut self) -> Instant {
        let now = Instant::now();
        self.in_flight.push(now);
        self.last = Some(now);
        now
    }

    /// Nobody said what became of it: when it may be sent again, if it is held back now.
    fn in_vain(&mut self, destination: &str) -> Option<Timestamp> {
        self.in_vain = self.in_vain.saturating_add(1);
        (self.in_vain >= IN_VAIN && !self.known).then(|| self.reject(destination, None))
    }

    fn reject(&mut self, destination: &str, ticket: Option<Ticket>) -> Timestamp {
        let until = super::super::now() + PAUSE;
        let rejection =
            Rejection { over: Instant::now() + PAUSE, withheld: Withheld { until, ticket } };
        self.accepted = None;
        self.in_vain = 0;
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
    /// It is shown now.
    pub(super) fn shown(&mut self) {
        self.open = true;
    }

    /// The proxy let it through, whatever it said then.
    pub(super) fn accepted(mut self) {
        self.open = false;
        let mut state = self.door.state();
        state.accepted = Some(Instant::now());
        state.known = true;
        state.doubted = false;
        state.in_vain = 0;
        state.rejected = None;
        state.rejected_for.remove(&self.destination);
    }

    /// What the proxy said is no verdict on it, nor silence.
    pub(super) fn unjudged(mut self) {
        self.open = false;
    }

    /// It was shown, and is shown again, or never will be answered: when it may be, if it is held back now.
    pub(super) fn in_vain(&mut self) -> Option<Timestamp> {
        let shown = std::mem::take(&mut self.open);
        shown.then(|| self.door.state().in_vain(&self.destination)).flatten()
    }

    /// The proxy rejected it, or the KDC did, in these words: when it may be sent again.
    pub(super) fn rejected(mut self, ticket: Option<Ticket>) -> Timestamp {
        self.open = false;
        self.door.state().reject(&self.destination, ticket)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // A trip that ran out of time, or was given up.
        self.in_vain();
        let mut state = self.door.state();
        if let Some(place) = state.in_flight.iter().position(|begun| *begun == self.begun) {
            state.in_flight.swap_remove(place);
        }
        drop(state);
        self.door.changed.notify_waiters();
    }
}

fn fingerprint(credential: &Credential) -> Fingerprint {
    let mut whole = Vec::new();
    match credential {
        Credential::Password { password, .. } => whole.extend(password.expose().as_bytes()),
        Credential::Ticket { keytab, cache, .. } => {
            // `krb5.conf(5)`, "default_ccache_name": a file may be written with its type.
            let cache = cache.as_deref().map(|cache| cache.strip_prefix("FILE:").unwrap_or(cache));
            for path in [keytab.as_deref(), cache.map(std::path::Path::new)] {
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
            Turn::Busy => panic!("{destination}: busy"),
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
        // What takes longer than a rejection is the way behind the proxy: the next one finds that out, and
        // no third one before either is answered.
        let (second, third) = tokio::join!(
            biased;
            tenths(turn(&gate, "slow", "b")),
            tenths(turn(&gate, "slow", "c")),
        );
        assert_eq!((second.0, third.0), (40, 100));
        assert!(matches!((&second.1, &third.1), (Turn::Go(_), Turn::Busy)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_half_of_what_is_left() {
        let gate = Gate::default();
        let _first = go(&gate, "slow", "a").await;
        let login = login(Scheme::Basic, "svc", "slow");
        let (proxy, deadline) = (proxy(3128), Instant::now() + Duration::from_secs(1));
        let waited = tenths(gate.turn(&proxy, &login, "b", deadline)).await;
        assert!(matches!(waited, (5, Turn::Busy)), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_acceptance_two_go_at_once_for_a_while() {
        let gate = Gate::default();
        go(&gate, "right", "a").await.accepted();
        let mut held = Vec::new();
        for destination in ["a", "b"] {
            held.push(go(&gate, "right", destination).await);
        }
        let third = tenths(turn(&gate, "right", "c")).await;
        assert!(matches!(third, (10, Turn::Go(_))), "{}", third.0);
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
                Turn::Not(_) | Turn::Busy => {}
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
        assert!(matches!(waited, (40, Turn::Go(_))), "{}", waited.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_is_shown_in_vain_is_held_back_after_the_third() {
        let gate = Gate::default();
        let vain = async |password: &str| {
            let mut permit = go(&gate, password, "a").await;
            permit.shown();
        };
        vain("unknown").await;
        vain("unknown").await;
        // Who was let go without having shown it, or got an error instead of a verdict, does not count.
        drop(go(&gate, "unknown", "a").await);
        let mut unjudged = go(&gate, "unknown", "a").await;
        unjudged.shown();
        unjudged.unjudged();
        // Another account does not make it forgotten.
        drop(go(&gate, "other", "a").await);
        vain("unknown").await;
        assert!(is_withheld(&gate, "unknown", "b").await);
        // What was accepted before is not to blame.
        go(&gate, "known", "a").await.accepted();
        for _ in 0..5 {
            vain("known").await;
        }
        drop(go(&gate, "known", "a").await);
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
