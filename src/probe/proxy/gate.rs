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
            let until = match door.state().look(destination, begun) {
                Look::Not(withheld) => return Turn::Not(withheld),
                Look::Go => break,
                Look::Wait(until) => until.min(patience),
            };
            if Instant::now() >= until {
                break;
            }
            // Either way it looks again.
            timeout_at(until, changed).await.unwrap_or_default();
        }
        door.state().begin();
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
    fn look(&self, destination: &str, begun: Instant) -> Look {
        let now = Instant::now();
        let stands = |rejection: &&Rejection| rejection.over > now;
        let here = self.rejected_for.get(destination);
        if let Some(rejection) = self.rejected.as_ref().or(here).filter(stands) {
            return Look::Not(rejection.withheld.clone());
        }
        let fresh = self.accepted.is_some_and(|accepted| now.duration_since(accepted) < FRESH);
        match self.last.filter(|_| self.in_flight > 0 && !fresh) {
            None => Look::Go,
            Some(_) if self.known => Look::Wait(begun + NEXT_KNOWN),
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
        state.rejected = None;
        state.rejected_for.remove(&self.destination);
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
