//! A question as bytes, and bytes as an answer to it or as none: hickory's messages, our reading.

use std::net::IpAddr;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::observation::{Alias, DnsKind, ExtendedError, Family, Flags, Flaw, Found, Reply};

/// What a datagram may be without fragments (dnsflagday.net 2020).
const PAYLOAD: u16 = 1232;
/// CNAMEs that are followed, addresses and extended errors that are kept.
const ALIASES: usize = 16;
const ADDRESSES: usize = 64;
const ERRORS: usize = 8;
/// The option of extended errors (RFC 8914 2).
const EXTENDED_ERROR: u16 = 15;

/// One question under its id.
#[derive(Clone, Debug)]
pub struct Asked {
    name: Name,
    family: Family,
    id: u16,
}

impl Asked {
    /// A question for a name as it is, nothing appended; none where it cannot be a name.
    pub fn new(name: &str, family: Family, id: u16) -> Option<Self> {
        let mut name = Name::from_utf8(name).ok()?;
        name.set_fqdn(true);
        Some(Self { name, family, id })
    }

    /// The message.
    pub fn message(&self) -> Option<Vec<u8>> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        // RFC 6840 5.7: who wants to know whether the zone's signatures were verified sets it.
        message.metadata.authentic_data = true;
        message.add_query(Query::query(self.name.clone(), self.record_type()));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_version(0);
        message.set_edns(edns);
        message.to_vec().ok()
    }

    fn record_type(&self) -> RecordType {
        match self.family {
            Family::A => RecordType::A,
            Family::Aaaa => RecordType::AAAA,
        }
    }

    /// Reads what arrived. Never fails on bytes: what is no answer to this question has a flaw.
    pub fn read(&self, bytes: &[u8]) -> Result<Reply, Flaw> {
        let Ok(message) = Message::from_vec(bytes) else { return Err(Flaw::Malformed) };
        let Message { metadata, queries, answers, authorities, edns, .. } = &message;
        if metadata.message_type != MessageType::Response {
            return Err(Flaw::Malformed);
        }
        if metadata.id != self.id {
            return Err(Flaw::WrongId);
        }
        let rcode = u16::from(metadata.response_code);
        let same =
            |query: &Query| query.name() == &self.name && query.query_type() == self.record_type();
        // A server that refuses may leave the question out (RFC 9619 4: none, or one).
        let repeated = match queries.as_slice() {
            [] => rcode != 0,
            [query] => same(query),
            _ => false,
        };
        if !repeated {
            return Err(Flaw::WrongQuestion);
        }
        let (aliases, last) = self.follow(answers);
        let is_soa = |record: &Record| record.record_type() == RecordType::SOA;
        Ok(Reply {
            rcode,
            flags: Flags {
                aa: metadata.authoritative,
                tc: metadata.truncation,
                ra: metadata.recursion_available,
                ad: metadata.authentic_data,
            },
            errors: edns.as_ref().map(extended_errors).unwrap_or_default(),
            addresses: self.addresses(answers, &last),
            aliases,
            soa: authorities.iter().any(is_soa),
            bytes: bytes.len(),
        })
    }

    /// The CNAMEs from the name on, and the name at their end.
    fn follow(&self, answers: &[Record]) -> (Vec<Alias>, Name) {
        let (mut aliases, mut current) = (Vec::new(), self.name.clone());
        while aliases.len() < ALIASES {
            let next = answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == current => Some((&target.0, record.ttl)),
                _ => None,
            });
            let Some((target, ttl)) = next else { break };
            aliases.push(Alias { name: shown(&current), target: shown(target), ttl });
            current = target.clone();
        }
        (aliases, current)
    }

    fn addresses(&self, answers: &[Record], owner: &Name) -> Vec<Found> {
        let wanted = |record: &&Record| record.name == *owner;
        let of_family = |address: &IpAddr| address.is_ipv4() == (self.family == Family::A);
        answers
            .iter()
            .filter(wanted)
            .filter_map(|record| {
                let address = record.data.ip_addr().filter(of_family)?;
                Some(Found { address, ttl: record.ttl })
            })
            .take(ADDRESSES)
            .collect()
    }
}

fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

fn extended_errors(edns: &Edns) -> Vec<ExtendedError> {
    let all = edns.options().as_ref().iter().filter_map(|(_, option)| match option {
        EdnsOption::Unknown(EXTENDED_ERROR, data) => {
            let (code, text) = data.split_first_chunk::<2>()?;
            let text = String::from_utf8_lossy(text).chars().take(256).collect();
            Some(ExtendedError { code: u16::from_be_bytes(*code), text })
        }
        _ => None,
    });
    all.take(ERRORS).collect()
}

/// What is wrong with an answer, if anything is; a truncated one is asked for again before.
pub(super) fn fault(reply: &Reply) -> Option<DnsKind> {
    match reply.rcode {
        0 if reply.addresses.is_empty() => Some(DnsKind::Nodata),
        0 => None,
        2 => Some(DnsKind::Servfail),
        3 => Some(DnsKind::Nxdomain),
        5 => Some(DnsKind::Refused),
        _ => Some(DnsKind::RcodeOther),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::ResponseCode;
    use hickory_resolver::proto::rr::rdata::CNAME;

    use super::*;

    fn asked() -> Asked {
        Asked::new("api.example", Family::A, 7).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    fn answer(change: impl FnOnce(&mut Message)) -> Result<Reply, Flaw> {
        let mut message = Message::from_vec(&asked().message().unwrap()).unwrap().into_response();
        message.metadata.message_type = MessageType::Response;
        change(&mut message);
        asked().read(&message.to_vec().unwrap())
    }

    fn a(owner: &str, last: u8) -> Record {
        Record::from_rdata(name(owner), 60, RData::from(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn addresses_are_those_at_the_end_of_the_aliases() {
        let reply = answer(|message| {
            let alias = RData::CNAME(CNAME(name("edge.example.")));
            message.add_answer(a("edge.example.", 1));
            message.add_answer(Record::from_rdata(name("API.example."), 300, alias));
            message.add_answer(a("other.example.", 2));
            message.add_answer(a("edge.example.", 3));
        })
        .unwrap();
        let found: Vec<String> = reply.addresses.iter().map(|f| f.address.to_string()).collect();
        assert_eq!(found, ["192.0.2.1", "192.0.2.3"]);
        assert_eq!((reply.aliases.len(), reply.aliases[0].ttl), (1, 300));
        assert_eq!(reply.aliases[0].target, "edge.example");
        assert_eq!(fault(&reply), None);
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let reply = answer(|message| {
            let to = |target: &str| RData::CNAME(CNAME(name(target)));
            message.add_answer(Record::from_rdata(name("api.example."), 1, to("b.example.")));
            message.add_answer(Record::from_rdata(name("b.example."), 1, to("api.example.")));
        })
        .unwrap();
        assert_eq!((reply.aliases.len(), fault(&reply)), (ALIASES, Some(DnsKind::Nodata)));
    }

    #[test]
    fn an_extended_error_keeps_its_words() {
        let reply = answer(|message| {
            message.metadata.response_code = ResponseCode::NXDomain;
            let mut edns = Edns::new();
            let data = [&15_u16.to_be_bytes()[..], b"by policy"].concat();
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
            message.set_edns(edns);
        })
        .unwrap();
        assert_eq!(reply.errors, [ExtendedError { code: 15, text: "by policy".into() }]);
        assert_eq!(fault(&reply), Some(DnsKind::Nxdomain));
    }

    #[test]
    fn what_is_no_answer_has_its_flaw() {
        assert_eq!(answer(|message| message.metadata.id = 8).unwrap_err(), Flaw::WrongId);
        let query = |message: &mut Message| message.metadata.message_type = MessageType::Query;
        assert_eq!(answer(query).unwrap_err(), Flaw::Malformed);
        let none = answer(|message| message.queries.clear());
        assert_eq!(none.unwrap_err(), Flaw::WrongQuestion);
        let other = answer(|message| {
            message.queries = vec![Query::query(name("other.example."), RecordType::A)];
        });
        assert_eq!(other.unwrap_err(), Flaw::WrongQuestion);
        assert_eq!(asked().read(b"").unwrap_err(), Flaw::Malformed);
    }
}
