//! The secrets that trips have carried, in the forms in which a peer may bring them back: as they are, in base64,
//! for a URL, in hex, in JSON. What is found is blotted out of everything that is handed on. Diagnosis sees what was on
//! the wire: a password may be a word of the evidence.
//!
//! It knows what was sent, not what else may be secret; a value of a few letters is in every page, and stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::{BASE64, HEXLOWER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::{Credential, TripPlan};
use crate::config::Secret;

/// What stands in its place.
const BLOT: &str = "[secret]";
/// Shorter ones are words.
const SHORTEST: usize = 6;
/// Secrets that are remembered; of more, the one is forgotten that was carried longest ago.
const REMEMBERED: usize = 1024;
/// What RFC 3986 2.3 lets stand as it is.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What all trips of a network have carried.
#[derive(Default)]
pub struct Known {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secrets: Vec<Secret>,
    forms: Arc<Forms>,
}

/// The forms of all in lower case, which is how they are compared, by their first letters.
#[derive(Default)]
struct Forms(HashMap<[u8; SHORTEST], Vec<Zeroizing<Vec<u8>>>>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

impl Known {
    /// Takes over what another one knows.
    pub fn remember(&self, old: &Self) {
        let theirs = old.state().secrets.clone();
        self.learn(theirs);
    }

    /// Takes in what a trip carries.
    pub fn carried(&self, plan: &TripPlan) {
        self.learn(carried(plan));
    }

    /// Blots whatever any trip has carried out of these texts, which are shown one by one.
    pub fn blot(&self, texts: impl FnOnce(&mut dyn FnMut(&mut String))) {
        let forms = Arc::clone(&self.state().forms);
        if !forms.0.is_empty() {
            texts(&mut |text| {
                if let Some(blotted) = forms.blotted(text) {
                    *text = blotted;
                }
            });
        }
    }

    /// Takes secrets in: of a header's value what stands behind the scheme counts.
    pub fn learn(&self, secrets: Vec<Secret>) {
        let mut state = self.state();
        let mut is_new = false;
        for secret in secrets.into_iter().map(without_scheme) {
            if secret.expose().len() < SHORTEST {
                continue;
            }
            match state.secrets.iter().position(|known| *known == secret) {
                Some(at) => {
                    state.secrets.remove(at);
                }
                None => is_new = true,
            }
            state.secrets.push(secret);
        }
        if is_new {
            let surplus = state.secrets.len().saturating_sub(REMEMBERED);
            state.secrets.drain(..surplus);
            state.forms = Arc::new(Forms::of(&state.secrets));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_scheme(secret: Secret) -> Secret {
    let behind = secret.expose().split_once(' ').filter(|(scheme, _)| {
        ["Basic", "Bearer"].iter().any(|one| scheme.eq_ignore_ascii_case(one))
    });
    match behind {
        Some((_, credentials)) => Secret::new(credentials.to_owned()),
        None => secret,
    }
}

/// What a trip carries.
fn carried(plan: &TripPlan) -> Vec<Secret> {
    let mut all: Vec<Secret> =
        plan.request.secrets.iter().map(|(_, value)| value.clone()).collect();
    let credential = plan.tunnel.as_ref().and_then(|tunnel| tunnel.credential.as_ref());
    if let Some(Ok(Credential::Password { name, password, .. })) = credential {
        let both = Zeroizing::new(format!("{name}:{}", password.expose()));
        all.push(Secret::new(BASE64.encode(both.as_bytes())));
        all.push(password.clone());
    }
    all
}

impl Forms {
    fn of(secrets: &[Secret]) -> Self {
        let mut all: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets {
            all.extend(forms(secret.expose()).into_iter().map(|form| {
                let form = Zeroizing::new(form);
                Zeroizing::new(form.to_ascii_lowercase().into_bytes())
            }));
        }
        // Of two that begin alike, the longer one is taken.
        all.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let mut by_first: HashMap<_, Vec<Zeroizing<Vec<u8>>>> = HashMap::new();
        for form in all {
            let Some(first) = form.first_chunk::<SHORTEST>() else { continue };
            let alike = by_first.entry(*first).or_default();
            if !alike.contains(&form) {
                alike.push(form);
            }
        }
        Self(by_first)
    }

    /// How many bytes of one of them this begins with; at the end of a text that was cut, its beginning will do.
    fn begins(&self, rest: &[u8]) -> Option<usize> {
        let first = rest.first_chunk::<SHORTEST>()?.to_ascii_lowercase();
        let forms = self.0.get(first.as_slice())?;
        forms.iter().find_map(|form| {
            let length = form.len().min(rest.len());
            let same = rest.get(..length)?.eq_ignore_ascii_case(form.get(..length)?);
            same.then_some(length)
        })
    }

    /// The text without them; none where it has none.
    fn blotted(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        let mut out: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Some(length) = self.begins(bytes.get(at..).unwrap_or_default()) {
                let out = out.get_or_insert_with(|| bytes.get(..at).unwrap_or_default().to_vec());
                out.extend(BLOT.as_bytes());
                at += length;
            } else {
                if let Some(out) = &mut out {
                    out.push(*byte);
                }
                at += 1;
            }
        }
        out.map(|out| String::from_utf8_lossy(&out).into_owned())
    }
}

/// A secret in all its forms. In base64 it depends on what stands before it: what is the same in each of the three
/// cases is looked for.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut all = vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, RESERVED).to_string(),
        HEXLOWER.encode(secret.as_bytes()),
    ];
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend(secret.as_bytes());
        // Six bits a letter: those that hold bits of a neighbour are left out.
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        let encoded = Zeroizing::new(BASE64.encode(&bytes));
        let inside = encoded.get(from..to).unwrap_or_default();
        all.push(inside.replace('+', "-").replace('/', "_"));
        all.push(inside.to_owned());
    }
    all.retain(|form| form.len() >= SHORTEST);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-planted/\"key\"?>";

    fn blotted(text: &str) -> String {
        let forms = Forms::of(&[Secret::new(SECRET.to_owned()), Secret::new("short".to_owned())]);
        forms.blotted(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn no_form_of_a_secret_comes_back() {
        let both = |before: &str| BASE64.encode(format!("{before}{SECRET}").as_bytes());
        let told = [
            SECRET.to_owned(),
            SECRET.to_ascii_uppercase(),
            serde_json::Value::from(SECRET).to_string(),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
            "sk-planted%2f%22key%22%3f%3e".to_owned(),
            HEXLOWER.encode(SECRET.as_bytes()).to_uppercase(),
            both(""),
            both("a"),
            both("ab"),
            both("abc").replace('+', "-").replace('/', "_"),
        ];
        for told in told {
            let out = blotted(&format!("you said {told} today"));
            assert!(out.starts_with("you said ") && out.ends_with(" today"), "{out}");
            // Of base64 some letters around it may stay.
            assert!(out.contains(BLOT) && out.len() < 37, "{told}: {out}");
        }
    }

    #[test]
    fn one_that_is_cut_is_found_and_nothing_else_is() {
        assert_eq!(blotted("key: sk-planted"), "key: [secret]");
        for text in ["sk-pla in the middle", "sk-p", "", "a \u{e4} short page"] {
            assert_eq!(blotted(text), text);
        }
        assert_eq!(blotted(&format!("\u{e4}{SECRET}\u{e4}")), "\u{e4}[secret]\u{e4}");
    }
}
