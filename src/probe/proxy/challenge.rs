//! What a proxy asks for: the challenges of its `Proxy-Authenticate` fields (RFC 9110 11.3, 11.7.1).
//!
//! Reads what proxies send, not only what they should: a comma that is missing, a quote that never
//! ends, a scheme nobody knows. What cannot be read is passed over. Chooses nothing.

use std::iter::Peekable;
use std::str::Chars;

use crate::observation::Scheme;

/// Challenges that are read of one answer.
const CHALLENGES: usize = 16;
/// Parameters that are read of one challenge.
const PARAMETERS: usize = 32;

/// One way in, as offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// How; none for a scheme that nobody here knows.
    pub scheme: Option<Scheme>,
    /// The token68 behind the scheme. The standard has this or parameters; whoever sends both is read.
    pub token: Option<String>,
    /// Names in lower case, values without their quotes and escapes, in the order that they came in.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter's value. A name must not come twice (RFC 9110 11.2); of those that do, the first counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of these field values, in order: several in a value, one a value, or both.
///
/// RFC 9110 11.6.1: the comma that ends a challenge is the one that ends a parameter too. What
/// follows it is a parameter where an equals sign follows the word, else the next scheme.
pub fn challenges<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in values {
        let mut reader = Reader { rest: value.chars().peekable() };
        // A challenge does not go on in the next field.
        let begin = found.len();
        while reader.pass_separators() && found.len() <= CHALLENGES {
            reader.step(&mut found, begin);
        }
    }
    found.truncate(CHALLENGES);
    found
}

/// The names of schemes are of any case (RFC 9110 11.1), and ours are the same.
fn scheme(word: &str) -> Option<Scheme> {
    Scheme::ALL.iter().find(|scheme| scheme.label().eq_ignore_ascii_case(word)).copied()
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// Passes blanks and commas; whether anything is left.
    fn pass_separators(&mut self) -> bool {
        self.take_while(|c| is_blank(c) || c == ',');
        self.rest.peek().is_some()
    }

    /// Reads one parameter of the last challenge, one scheme with its token, or passes over garbage.
    fn step(&mut self, found: &mut Vec<Challenge>, begin: usize) {
        let word = self.take_while(is_token);
        if word.is_empty() {
            return self.pass_garbage();
        }
        let blanks = self.take_while(is_blank);
        if self.rest.next_if_eq(&'=').is_none() {
            let token = if blanks.is_empty() { None } else { self.token68() };
            found.push(Challenge { scheme: scheme(&word), token, parameters: Vec::new() });
            return;
        }
        self.take_while(is_blank);
        let value = self.value();
        let open = found.get_mut(begin..).and_then(<[Challenge]>::last_mut);
        if let Some(challenge) = open.filter(|challenge| challenge.parameters.len() < PARAMETERS) {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
    }

    /// RFC 9110 11.2: letters and signs, then equals signs, then nothing else before the comma.
    fn token68(&mut self) -> Option<String> {
        let mut ahead = Reader { rest: self.rest.clone() };
        let mut token = ahead.take_while(is_token68);
        if token.is_empty() {
            return None;
        }
        token.push_str(&ahead.take_while(|c| c == '='));
        ahead.take_while(is_blank);
        if ahead.rest.peek().is_some_and(|c| *c != ',') {
            return None;
        }
        self.rest = ahead.rest.clone();
        Some(token)
    }

    /// A quoted string, or what there is up to a blank or a comma: more than a token's letters, as
    /// some write a bare `realm=my:proxy`.
    fn value(&mut self) -> String {
        if self.rest.next_if_eq(&'"').is_none() {
            return self.take_while(|c| !is_blank(c) && c != ',');
        }
        let mut text = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => break,
                // RFC 9110 5.6.4: the backslash says that the next character is meant as it is.
                '\\' => text.extend(self.rest.next()),
                c => text.push(c),
            }
        }
        text
    }

    /// What begins neither a scheme nor a parameter, up to the next comma outside of quotes.
    fn pass_garbage(&mut self) {
        while self.rest.peek().is_some_and(|c| *c != ',') {
            if self.rest.peek() == Some(&'"') {
                self.value();
            } else {
                self.rest.next();
            }
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.rest.next_if(|c| wanted(*c)) {
            taken.push(c);
        }
        taken
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// RFC 9110 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[&str]) -> Vec<String> {
        let show = |challenge: Challenge| {
            let token = challenge.token.map(|token| format!(" {token}")).unwrap_or_default();
            let pairs =
                challenge.parameters.iter().map(|(name, value)| format!(" {name}<{value}>"));
            let scheme = challenge.scheme.map_or("Other".to_owned(), |s| format!("{s:?}"));
            format!("{scheme}{token}{}", pairs.collect::<String>())
        };
        challenges(values.iter().copied()).into_iter().map(show).collect()
    }

    #[test]
    fn one_line_and_many_lines_say_the_same() {
        let wanted = ["Negotiate", "Ntlm TlRM==", "Digest realm<a, b> nonce<n=>", "Basic realm<c>"];
        let lines = [
            "Negotiate",
            "NTLM TlRM==",
            r#"Digest realm="a, b", nonce="n=""#,
            r#"Basic realm="c""#,
        ];
        assert_eq!(shown(&lines), wanted);
        assert_eq!(shown(&[&lines.join(", ")]), wanted);
        assert_eq!(shown(&[&lines.join(",").to_uppercase()])[1..2], ["Ntlm TLRM=="]);
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 9110 11.6.1.
        let line =
            r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#;
        let wanted = ["Basic realm<simple>", r#"Other realm<apps> type<1> title<Login to "apps">"#];
        assert_eq!(shown(&[line]), wanted);
    }

    #[test]
    fn schemes_in_any_case_and_values_with_escapes() {
        assert_eq!(shown(&["bAsIc REALM = \"a\\\\b\\c\""]), [r"Basic realm<a\bc>"]);
        assert_eq!(shown(&["\t, ,negotiate ,, ntlm\t,"]), ["Negotiate", "Ntlm"]);
        assert_eq!(shown(&["Bearer a.b-c_d~e+f/g="]), ["Other a.b-c_d~e+f/g="]);
        // An equals sign without a value is a token68's end, with one a parameter.
        assert_eq!(
            shown(&["Basic a=", "Basic a=b", "Basic a==b"]),
            ["Basic a=", "Basic a<b>", "Basic a<=b>"]
        );
    }

    #[test]
    fn what_is_not_as_it_should_be_is_read_as_far_as_it_goes() {
        assert_eq!(shown(&["Digest realm=\"a\" nonce=\"b\""]), ["Digest realm<a> nonce<b>"]);
        assert_eq!(shown(&["Negotiate Basic realm=x"]), ["Negotiate", "Basic realm<x>"]);
        assert_eq!(shown(&["Basic realm=\"never ends, NTLM"]), ["Basic realm<never ends, NTLM>"]);
        assert_eq!(shown(&["Basic realm=my:proxy/1"]), ["Basic realm<my:proxy/1>"]);
        // Nothing that a parameter could belong to.
        assert_eq!(shown(&["realm=\"x\", Basic"]), ["Basic"]);
        assert_eq!(shown(&["Basic", "realm=\"x\""]), ["Basic"]);
        assert_eq!(shown(&["Basic @\"a, NTLM\"@, é, Negotiate"]), ["Basic", "Negotiate"]);
        assert_eq!(shown(&["", "  ", ",", "\"", "="]), [""; 0]);
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(shown(&["Basic,".repeat(99).as_str(), "NTLM"]), ["Basic"; CHALLENGES]);
        let many = format!("Digest {}", "a=1,".repeat(99));
        assert_eq!(challenges([many.as_str()])[0].parameters.len(), PARAMETERS);
    }

    #[test]
    fn the_first_of_two_parameters_counts() {
        let read = challenges(["Digest nonce=a, NONCE=b"]);
        assert_eq!(read[0].parameter("nonce"), Some("a"));
        assert_eq!(read[0].parameter("realm"), None);
    }
}
