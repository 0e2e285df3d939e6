//! `basic_auth_users`: names, and the bcrypt hashes of their passwords. It checks no password.

use std::fmt;

use crate::config::yaml::{Node, Reader};

/// The dearest hash: a login by it takes a second on slow hardware, and twice that with each step more.
const MOST: u32 = 14;

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Of the password.
    pub hash: Hash,
}

/// A bcrypt hash of the usual form and a bounded cost. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    text: String,
    cost: u32,
}

impl Hash {
    /// As it was written.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The logarithm of how often it goes round.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A way out of every fault of a hash.
const MAKE: &str = "make one: htpasswd -nBC 10 NAME";

impl Reader<'_> {
    pub(super) fn users(&mut self, node: &Node) -> Vec<User> {
        let mut users = Vec::new();
        for (name, value) in self.table(node) {
            let text = self.text(&value);
            match hash(&text) {
                Ok(hash) if !name.value.contains(':') && !name.value.contains(char::is_control) => {
                    users.push(User { name: name.value, hash });
                }
                Ok(_) => {
                    let what = "a name with a colon or a control character in it cannot log in";
                    self.fault(&value, what, "choose another name (RFC 7617 2)");
                }
                Err((what, help)) => self.fault(&value, what, help),
            }
        }
        users
    }
}

/// `$2y$10$`, 22 characters of salt, 31 of hash. What is wrong is said without what is written: it may be a password.
fn hash(text: &str) -> Result<Hash, (String, String)> {
    let wrong = || ("this is no bcrypt hash".to_owned(), MAKE.to_owned());
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|kind| text.strip_prefix(kind));
    let (cost, rest) = rest.and_then(|rest| rest.split_once('$')).ok_or_else(wrong)?;
    let digit = |c: char| c.is_ascii_alphanumeric() || "./".contains(c);
    let number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let whole = number && rest.len() == 53 && rest.chars().all(digit);
    let cost: u32 = cost.parse().ok().filter(|_| whole).ok_or_else(wrong)?;
    if !(4..=31).contains(&cost) {
        return Err(wrong());
    }
    if cost > MOST {
        let what = format!("a hash of cost {cost}: each login would take many seconds");
        return Err((what, format!("at most {MOST}; {MAKE}")));
    }
    Ok(Hash { text: text.to_owned(), cost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hash_is_not_repeated() {
        let rest = "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz./ABC";
        assert_eq!(rest.len(), 53);
        for kind in ["2a", "2b", "2y"] {
            assert_eq!(hash(&format!("${kind}$10${rest}")).unwrap().cost(), 10);
        }
        for text in [
            "",
            "hunter2",
            "$2x$10$abc",
            "$apr1$abc$def",
            &format!("$2y$10${rest}x"),
            &format!("$2y$1${rest}"),
            &format!("$2y$03${rest}"),
            &format!("$2y$32${rest}"),
            &format!("$2y$+9${rest}"),
        ] {
            assert_eq!(hash(text).unwrap_err().0, "this is no bcrypt hash", "{text}");
        }
        let dear = hash(&format!("$2y$15${rest}")).unwrap_err().0;
        assert_eq!(dear, "a hash of cost 15: each login would take many seconds");
        assert_eq!(format!("{:?}", hash(&format!("$2y$14${rest}")).unwrap()), "<secret>");
    }
}
