//! What single name servers say beside the walk, for people: a line for each that says something else.

use super::shown;
use crate::diagnosis::sinkhole_of;
use crate::observation::{Answer, Family, Flaw, Lookup, Question, Reply, Role, Transport};

/// Lines at most: two servers that disagree about both families.
const LINES: usize = 4;

/// The lines of a look-up.
pub(super) fn lines(lookup: &Lookup) -> Vec<String> {
    lookup
        .questions
        .iter()
        .filter(|question| differs(lookup, question))
        .take(LINES)
        .map(line)
        .collect()
}

/// Whether a question says what the walk does not.
fn differs(lookup: &Lookup, question: &Question) -> bool {
    let answer = match question.family {
        Family::A => &lookup.a,
        Family::Aaaa => &lookup.aaaa,
    };
    if !question.strays.is_empty() || !question.late.is_empty() {
        return true;
    }
    match (answer, &question.stop, &question.reply) {
        // Over before there was an answer.
        (_, None, None) => false,
        (Some(Answer::Failed(walk)), Some(stop), reply) => {
            walk.kind != stop.kind || reply.as_ref().is_some_and(|reply| !reply.errors.is_empty())
        }
        (Some(Answer::Addresses(walk)), None, Some(reply)) => {
            !reply.flags.tc && reply.addresses.iter().all(|found| !walk.contains(&found.address))
        }
        (Some(Answer::Addresses(_)), Some(_), _) => true,
        (Some(Answer::Failed(_)), None, Some(_)) => true,
        // The hosts file answered.
        (None, _, _) => question.reply.as_ref().is_some_and(|reply| !reply.addresses.is_empty()),
    }
}

fn line(question: &Question) -> String {
    let server = &question.server;
    let how = match server.transport {
        Transport::Udp => String::new(),
        Transport::Tcp | Transport::Tls | Transport::Https => {
            format!(" over {}", server.transport.label())
        }
    };
    let role = match server.role {
        Role::Configured => String::new(),
        Role::Stub | Role::Upstream | Role::Independent => format!(" ({})", server.role.label()),
    };
    let mut text = format!("{}{how}{role} says {}: ", server.address, question.family.label());
    match (&question.stop, &question.reply) {
        (Some(stop), reply) => {
            text.push_str(stop.kind.label());
            if let Some(icmp) = stop.icmp {
                text.push_str(&format!(
                    ", ICMP {}/{} from {}",
                    icmp.kind, icmp.code, icmp.offender
                ));
            }
            for error in reply.iter().flat_map(|reply| &reply.errors) {
                let words = shown(&error.text);
                text.push_str(format!(", extended error {} {words}", error.code).trim_end());
            }
        }
        (None, Some(reply)) => text.push_str(&addresses(reply)),
        (None, None) => text.push_str("nothing yet"),
    }
    for stray in &question.strays {
        let what = match stray.flaw {
            Flaw::Malformed => "no DNS message",
            Flaw::WrongId => "an answer under another id",
            Flaw::WrongQuestion => "an answer to another question",
            Flaw::WrongSource => "an answer from somebody else",
        };
        text.push_str(&format!("; before it {what} from {}", stray.from));
    }
    for late in &question.late {
        text.push_str(&format!("; and a second answer: {}", addresses(late)));
    }
    text
}

fn addresses(reply: &Reply) -> String {
    let one = |address| match sinkhole_of(address) {
        Some(maker) => format!("{address} (looks like {maker})"),
        None => address.to_string(),
    };
    let all: Vec<String> = reply.addresses.iter().map(|found| one(found.address)).collect();
    if all.is_empty() { format!("code {}", reply.rcode) } else { all.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lookup: &str) -> Vec<String> {
        lines(&toml::from_str(&format!("name = \"api.example\"\n{lookup}")).unwrap())
    }

    const FOUND: &str =
        "a = { addresses = [\"192.0.2.1\"] }\naaaa = { failed = { kind = \"nodata\" } }\n";

    fn question(server: &str, rest: &str) -> String {
        format!("[[questions]]\nserver = {server}\nfamily = \"A\"\n{rest}\n")
    }

    const FIRST: &str = "{ address = \"10.0.0.53:53\" }";
    const UPSTREAM: &str =
        "{ address = \"10.9.0.53:53\", transport = \"tls\", role = \"upstream\" }";

    #[test]
    fn who_agrees_or_has_not_answered_is_not_listed() {
        let same =
            question(FIRST, "reply = { addresses = [{ address = \"192.0.2.1\", ttl = 9 }] }");
        let open = question(UPSTREAM, "seconds = 0.1");
        assert_eq!(told(&format!("{FOUND}{same}{open}")), [""; 0]);
    }

    #[test]
    fn who_says_something_else_is_quoted() {
        let other = question(
            UPSTREAM,
            "reply = { addresses = [{ address = \"208.91.112.55\", ttl = 9 }] }",
        );
        let denied = question(
            FIRST,
            "stop = { kind = \"nxdomain\" }\nreply = { rcode = 3, errors = [{ code = 17, text = \"by\\u001b policy\" }] }",
        );
        assert_eq!(
            told(&format!("{FOUND}{other}{denied}")),
            [
                "10.9.0.53:53 over tls (upstream) says A: 208.91.112.55 (looks like FortiGuard)",
                "10.0.0.53:53 says A: nxdomain, extended error 17 by\\x1b policy",
            ]
        );
    }

    #[test]
    fn what_came_beside_the_answer_is_told() {
        let forged = question(
            FIRST,
            "reply = { addresses = [{ address = \"192.0.2.1\", ttl = 9 }] }\n\
             strays = [{ from = \"10.0.0.53:53\", flaw = \"wrong_id\" }]\n\
             late = [{ addresses = [{ address = \"192.0.2.9\", ttl = 9 }] }]",
        );
        assert_eq!(
            told(&format!("{FOUND}{forged}")),
            [
                "10.0.0.53:53 says A: 192.0.2.1; before it an answer under another id from 10.0.0.53:53; \
              and a second answer: 192.0.2.9"
            ]
        );
    }
}
