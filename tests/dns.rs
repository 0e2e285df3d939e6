//! The look-up with name servers that are not ours, and with a host's own configuration: in network
//! namespaces, where port 53 is free.

mod host;
mod servers;
mod way;

use egressd::observation::{DnsKind, Family, Question, Transport, Trip};

/// The question for that family over that transport, put to an address that begins so.
#[track_caller]
fn question<'a>(
    trip: &'a Trip,
    (server, transport): (&str, Transport),
    family: Family,
) -> &'a Question {
    let of = |question: &&Question| {
        question.family == family
            && question.server.transport == transport
            && question.server.address.ip().to_string() == server
    };
    let found = trip.lookup.questions.iter().find(of);
    found.unwrap_or_else(|| panic!("it was not asked: {:#?}", trip.lookup))
}

fn kind(question: &Question) -> Option<DnsKind> {
    question.stop.as_ref().map(|failure| failure.kind)
}
