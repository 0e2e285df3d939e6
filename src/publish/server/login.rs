//! Whether a request comes from a user: Basic authentication (RFC 7617) against bcrypt hashes. One hash is computed at
//! a time, beside the thread that serves, and the networks take turns; what was found out is remembered by a keyed hash,
//! never the password.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::HeaderValue;
use data_encoding::BASE64;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Access, Login};

/// How long one waits for its turn: whoever scrapes waits for 10 seconds, as a rule.
const PATIENCE: Duration = Duration::from_secs(8);
/// What is remembered of right ones, and of wrong ones.
const KNOWN: usize = 64;

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// All.
    Right,
    /// Nothing.
    Wrong,
    /// Too many are being looked at.
    Busy,
}

/// Who waits, and what is known.
pub(super) struct Logins {
    key: hmac::Key,
    going: Arc<Semaphore>,
    turns: Turns,
    right: Mutex<Known>,
    wrong: Mutex<Known>,
}

/// Of each network one goes to where hashes are computed, and the next when it is back: however many come from one, who
/// comes from another waits for one of them.
type Turns = Mutex<HashMap<IpAddr, Arc<Semaphore>>>;

/// The newest first.
type Known = VecDeque<[u8; 32]>;

impl Logins {
    /// With a key of its own, which ends with it; none where the system has no random bytes.
    pub(super) fn new() -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(key.as_mut()).ok()?;
        Some(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            going: Arc::new(Semaphore::new(1)),
            turns: Mutex::default(),
            right: Mutex::default(),
            wrong: Mutex::default(),
        })
    }

    /// Judges what a request from there carries. Whether there is such a user shows in no time that it takes.
    pub(super) async fn judge(
        &self,
        users: &[Login],
        carried: Option<&HeaderValue>,
        from: IpAddr,
    ) -> Ruling {
        let Some((name, password)) = carried.and_then(parts) else { return Ruling::Wrong };
        let user = users.iter().find(|user| user.name.as_bytes() == name.as_slice());
        let (hash, is_user) = match user {
            Some(user) => (user.hash.clone(), true),
            None => (nobody(users), false),
        };
        let tag = self.tag(&[&name, hash.as_bytes(), &password]);
        if is_user && is_known(&self.right, &tag) {
            return Ruling::Right;
        }
        if is_known(&self.wrong, &tag) {
            return Ruling::Wrong;
        }
        let queue = Queue::of(&self.turns, from);
        let both = async {
            let turn = Arc::clone(&queue.turn).acquire_owned().await.ok()?;
            Some((turn, Arc::clone(&self.going).acquire_owned().await.ok()?))
        };
        let Ok(Some(going)) = timeout(PATIENCE, both).await else { return Ruling::Busy };
        // Who waited for the same one need not compute it again.
        if is_user && is_known(&self.right, &tag) {
            return Ruling::Right;
        }
        if is_known(&self.wrong, &tag) {
            return Ruling::Wrong;
        }
        let computed = tokio::task::spawn_blocking(move || {
            let is_right = bcrypt::verify(password.as_slice(), &hash).unwrap_or(false);
            // Whoever goes away meanwhile leaves the place when the work is done.
            drop(going);
            is_right
        });
        let is_right = computed.await.unwrap_or(false) && is_user;
        remember(if is_right { &self.right } else { &self.wrong }, tag);
        if is_right { Ruling::Right } else { Ruling::Wrong }
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

/// Those of a network that wait, gone with the last of them.
struct Queue<'a> {
    turns: &'a Turns,
    from: IpAddr,
    turn: Arc<Semaphore>,
}

impl<'a> Queue<'a> {
    fn of(turns: &'a Turns, from: IpAddr) -> Self {
        let one = || Arc::new(Semaphore::new(1));
        let turn = Arc::clone(locked(turns).entry(from).or_insert_with(one));
        Self { turns, from, turn }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut turns = locked(self.turns);
        // It is in the map, and here.
        if Arc::strong_count(&self.turn) == 2 {
            turns.remove(&self.from);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_known(known: &Mutex<Known>, tag: &[u8; 32]) -> bool {
    let mut known = locked(known);
    let Some(at) = known.iter().position(|one| one == tag) else { return false };
    if let Some(tag) = known.remove(at) {
        known.push_front(tag);
    }
    true
}

fn remember(known: &Mutex<Known>, tag: [u8; 32]) {
    let mut known = locked(known);
    known.push_front(tag);
    known.truncate(KNOWN);
}

/// Name and password. A password may have colons and any bytes in it.
fn parts(carried: &HeaderValue) -> Option<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let bytes = carried.as_bytes();
    let (scheme, rest) = bytes.split_at_checked("Basic ".len())?;
    let both = scheme.eq_ignore_ascii_case(b"Basic ").then(|| BASE64.decode(rest.trim_ascii()));
    let both = Zeroizing::new(both?.ok()?);
    let colon = both.iter().position(|byte| *byte == b':')?;
    let (name, password) = both.split_at_checked(colon)?;
    Some((name.to_vec(), Zeroizing::new(password.get(1..)?.to_vec())))
}

/// A hash that is nobody's, as dear as the dearest.
fn nobody(users: &[Login]) -> String {
    let cost = users.iter().map(|user| user.cost).max().unwrap_or(10);
    format!("$2b${cost:02}$abcdefghijklmnopqrstuu7WmpErPElH9EhnRFwIfMhIsyRYHzP5u")
}

impl Access {
    /// Whether only those are answered who prove who they are.
    pub fn is_closed(&self) -> bool {
        !self.users.is_empty() || self.requires_client
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[test]
    fn a_hash_of_nobody_is_one_that_is_computed() {
        let user = Login { name: "a".into(), hash: String::new(), cost: 4 };
        assert!(matches!(bcrypt::verify("x", &nobody(&[user])), Ok(false)));
    }

    #[test]
    fn a_password_may_have_anything_in_it() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            parts(&value).map(|(name, password)| (name, password.to_vec()))
        };
        let both = BASE64.encode("jürgen:a:b\u{1f511} ".as_bytes());
        let expected = ("jürgen".as_bytes().to_vec(), "a:b\u{1f511} ".as_bytes().to_vec());
        assert_eq!(of(&format!("Basic {both}")), Some(expected.clone()));
        assert_eq!(of(&format!("bASIC   {both}")), Some(expected));
        for wrong in
            ["", "Basic", "Basic ", "Basic !", "Basic YQ==", "Bearer YTpi", "Basic YTpi YTpi"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    fn carried(both: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", BASE64.encode(both.as_bytes()))).unwrap()
    }

    #[tokio::test]
    async fn networks_take_turns_and_nobody_is_sent_away() {
        let logins = Arc::new(Logins::new().unwrap());
        let hash = bcrypt::hash("right", 4).unwrap();
        let users = [Login { name: "mon".into(), hash, cost: 4 }];
        let (right, wrong) = (carried("mon:right"), carried("mon:wrong"));
        let [here, there] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let judge = |carried, from| logins.judge(&users, Some(carried), from);
        let going = Arc::clone(&logins.going).acquire_owned().await.unwrap();
        let mut all = JoinSet::new();
        let guesses = (0..60).map(|number| (carried(&format!("mon:guess{number}")), here));
        for (carried, from) in guesses.chain([(right.clone(), here), (right.clone(), there)]) {
            let (logins, users) = (Arc::clone(&logins), users.clone());
            all.spawn(async move { (from, logins.judge(&users, Some(&carried), from).await) });
        }
        while locked(&logins.turns).len() < 2 {
            tokio::task::yield_now().await;
        }
        drop(going);
        let mut order = Vec::new();
        while let Some(done) = all.join_next().await {
            order.push(done.unwrap());
        }
        let place = order.iter().position(|one| *one == (there, Ruling::Right));
        assert!(place.is_some_and(|place| place <= 2), "behind one of the others: {order:?}");
        assert_eq!(order.iter().filter(|one| one.1 == Ruling::Wrong).count(), 60, "{order:?}");
        assert_eq!(order.iter().filter(|one| one.1 == Ruling::Right).count(), 2);
        // Whatever is guessed, what is known to be right is not forgotten for it.
        for number in 0..2 * KNOWN {
            let guess = carried(&format!("mon:{number}"));
            assert_eq!(logins.judge(&users, Some(&guess), here).await, Ruling::Wrong);
        }
        logins.going.close();
        assert_eq!(judge(&right, here).await, Ruling::Right, "nothing is computed");
        let last = carried("mon:127");
        let known = logins.judge(&users, Some(&last), here).await;
        assert_eq!(known, Ruling::Wrong, "nor for the last guess");
        assert_eq!(judge(&wrong, here).await, Ruling::Busy);
        assert!(locked(&logins.turns).is_empty());
        // What was right under another hash is not.
        let others = [Login { hash: bcrypt::hash("other", 4).unwrap(), ..users[0].clone() }];
        assert_ne!(logins.judge(&others, Some(&right), here).await, Ruling::Right);
    }
}
